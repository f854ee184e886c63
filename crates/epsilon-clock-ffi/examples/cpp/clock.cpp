// The one-page header at work: owners that close, exceptions that say what to do.
#include <cstdio>
#include <thread>

#ifdef SCRIPTED
#include <epsilon_clock_testing.hpp>
using epsilon::testing::open;
#else
#include <epsilon_clock.hpp>
using epsilon::open;
#endif

int main() try {
  ec_options options = epsilon::assuming(std::chrono::milliseconds(2));
  epsilon::clock clock = open(options);
  epsilon::hlc stamps(clock);

  int64_t first = clock.begin_commit();
  uint64_t sent = stamps.tick(), received = 0;
  std::thread other([&] { received = stamps.observe(sent); });
  other.join();
  clock.wait(first);
  int64_t second = clock.begin_commit();
  std::printf("first %lld, second %lld, %s\n", (long long)first, (long long)second,
              clock.read().error == EC_OK ? "with a bound" : "without a bound");

  bool refused = false;
  try {
    options.max_error_ns = 0;
    open(options);
  } catch (const epsilon::error &error) {
    refused = error.code == EC_ERR_OPTION;
    std::printf("refused: %s\n", error.what());
  }
  bool good = first < second && sent < received && clock.after(first) && refused;
  return good ? 0 : 1;
} catch (const epsilon::error &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
