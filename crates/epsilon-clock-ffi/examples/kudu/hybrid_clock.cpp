// Kudu's HybridClock on this library: NowWithError, and commit-wait until all clocks have passed.
#include <cinttypes>
#include <cstdio>
#include <epsilon_clock.hpp>
#ifdef SCRIPTED
#include <epsilon_clock_testing.h>
#endif
class HybridClock {
 public:
  explicit HybridClock(epsilon::clock clock) : clock_(std::move(clock)), stamps_(clock_) {}
  // A timestamp, and how far true time may be from it: kudu::clock::HybridClock::NowWithError.
  void NowWithError(uint64_t *timestamp, uint64_t *max_error_usec) const {
    ec_interval interval;
    epsilon::check(ec_hlc_tick_with_interval(stamps_.get(), timestamp, &interval));
    *max_error_usec = (uint64_t(interval.latest_ns - interval.earliest_ns) + 1999) / 2000;
  }
  uint64_t NowLatest() const { return commit(); }
  // Takes a timestamp that came with a message; throws if no honest clock can have issued it.
  void Update(uint64_t to_update) const { stamps_.observe(to_update); }
  // COMMIT_WAIT: false if the deadline does not suffice; the transaction is not acknowledged then.
  bool WaitUntilAfter(uint64_t timestamp, epsilon::nanoseconds deadline) const {
    return clock_.wait(ec_hlc_physical(timestamp), deadline);
  }
 private:
  uint64_t commit() const {
    uint64_t stamp;
    epsilon::check(ec_hlc_begin_commit(stamps_.get(), &stamp));
    return stamp;
  }
  epsilon::clock clock_;
  epsilon::hlc stamps_;
};
epsilon::clock open();
int main() try {
  HybridClock clock(open());
  uint64_t now, error, commit = clock.NowLatest();
  bool early = clock.WaitUntilAfter(commit, std::chrono::microseconds(1));
  bool past = clock.WaitUntilAfter(commit, std::chrono::seconds(10));
  clock.NowWithError(&now, &error);
  std::printf("error %" PRIu64 " us, waited: %d then %d, later: %d\n", error, early, past, now > commit);
  return !early && past && now > commit && error > 0 ? 0 : 1;
} catch (const epsilon::error &error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
epsilon::clock open() {
  ec_options options = epsilon::defaults();
  options.assume_error_ns = 2'000'000;
#ifdef SCRIPTED
  static ec_testing_machine *machine;
  ec_clock *clock;
  epsilon::check(ec_testing_machine_open(&machine));
  epsilon::check(ec_testing_open(machine, &options, &clock));
  return epsilon::clock(clock);
#else
  return epsilon::clock(options);
#endif
}
