// The one-page header at work: owners that close, exceptions that say what to do.
#include <cstdio>
#include <cstring>
#include <thread>

#include <epsilon_clock.hpp>
#ifdef SCRIPTED
#include <epsilon_clock_testing.h>
#endif

int main() try {
  ec_options options = epsilon::defaults();
  options.assume_error_ns = 2'000'000;
#ifdef SCRIPTED
  ec_testing_machine *machine = nullptr;
  epsilon::check(ec_testing_machine_open(&machine));
  ec_clock *opened = nullptr;
  epsilon::check(ec_testing_open(machine, &options, &opened));
  epsilon::clock clock(opened);
#else
  epsilon::clock clock(options);
#endif
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
    epsilon::clock none(options);
  } catch (const epsilon::error &error) {
    refused = error.code == EC_ERR_OPTION;
    std::printf("refused: %s\n", error.what());
  }
  bool good = first < second && sent < received && clock.after(first) && refused;
#ifdef SCRIPTED
  epsilon::check(ec_testing_machine_close(machine));
#endif
  return good ? 0 : 1;
} catch (const epsilon::error &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
