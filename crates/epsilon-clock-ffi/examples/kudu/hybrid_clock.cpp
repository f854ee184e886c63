// Kudu's HybridClock on this library: NowWithError, and commit-wait until all clocks have passed.
#include <cstdio>
#ifdef SCRIPTED
#include <epsilon_clock_testing.hpp>
using epsilon::testing::open;
#else
#include <epsilon_clock.hpp>
using epsilon::open;
#endif
class HybridClock {
 public:
  explicit HybridClock(epsilon::clock clock) : clock_(std::move(clock)), stamps_(clock_) {}
  // A timestamp, and how far true time may be from it: kudu::clock::HybridClock::NowWithError.
  void NowWithError(uint64_t *timestamp, uint64_t *max_error_usec) const {
    epsilon::stamped now = stamps_.tick_with_interval();
    *timestamp = now.stamp;
    *max_error_usec = (epsilon::error_of(now.interval).count() + 999) / 1000;
  }
  uint64_t NowLatest() const { return stamps_.begin_commit(); }
  // Takes a timestamp that came with a message; throws if no honest clock can have issued it.
  void Update(uint64_t to_update) const { stamps_.observe(to_update); }
  // COMMIT_WAIT: false if the deadline does not suffice; the transaction is not acknowledged then.
  bool WaitUntilAfter(uint64_t timestamp, epsilon::nanoseconds deadline) const {
    return clock_.wait(ec_hlc_physical(timestamp), deadline);
  }
 private:
  epsilon::clock clock_;
  epsilon::hlc stamps_;
};
int main() try {
  HybridClock clock(open(epsilon::assuming(std::chrono::milliseconds(2))));
  uint64_t now, error, commit = clock.NowLatest();
  bool early = clock.WaitUntilAfter(commit, std::chrono::microseconds(1));
  bool past = clock.WaitUntilAfter(commit, std::chrono::seconds(10));
  clock.NowWithError(&now, &error);
  std::printf("error %llu us, waited: %d, then %d\n", (unsigned long long)error, early, past);
  return !early && past && now > commit && error > 0 ? 0 : 1;
} catch (const epsilon::error &error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
