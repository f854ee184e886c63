/* The C interface with owners that close, and exceptions in place of codes. C++17. */
#ifndef EPSILON_CLOCK_HPP
#define EPSILON_CLOCK_HPP

#include <chrono>
#include <memory>
#include <stdexcept>

#include "epsilon_clock.h"

namespace epsilon {

/* Why a call failed; what() says what would end it. */
struct error : std::runtime_error {
  explicit error(ec_error code) : std::runtime_error(ec_error_text(code)), code(code) {}
  ec_error code;
};
inline void check(ec_error code) {
  if (code != EC_OK) throw error(code);
}
/* What a function of the C interface writes through its last argument. */
template <class Out, class Function, class... Given>
Out got(Function function, Given... given) {
  Out out{};
  check(function(given..., &out));
  return out;
}

/* Instants are ns since 1970, on Unix time; a span that is negative counts as none. */
using nanoseconds = std::chrono::nanoseconds;
inline uint64_t count(nanoseconds span) { return span.count() < 0 ? 0 : uint64_t(span.count()); }

inline ec_options defaults() { return got<ec_options>(ec_options_init); }
/* As the defaults, and vouched for by the caller: off by no more than so much. */
inline ec_options assuming(nanoseconds error) {
  ec_options options = defaults();
  options.assume_error_ns = count(error);
  return options;
}
/* Epsilon: how far true time may be from the middle of an interval. */
inline nanoseconds error_of(const ec_interval &interval) {
  uint64_t width = uint64_t(interval.latest_ns) - uint64_t(interval.earliest_ns);
  return nanoseconds(int64_t(width / 2 + width % 2));
}
/* A stamp, and where true time lay when it was drawn. */
struct stamped {
  uint64_t stamp;
  ec_interval interval;
};

struct closer {
  void operator()(ec_clock *clock) const noexcept { ec_close(clock); }
  void operator()(ec_hlc *hlc) const noexcept { ec_hlc_close(hlc); }
};

/* Owns a clock. Any number of threads may read it; it must outlive their calls. */
class clock {
 public:
  explicit clock(ec_clock *owned) : handle_(owned) {}
  explicit clock(const ec_options &options = defaults())
      : handle_(got<ec_clock *>(ec_open, &options)) {}
  ec_interval now() const { return got<ec_interval>(ec_now, get()); }
  bool after(int64_t instant_ns) const { return got<bool>(ec_after, get(), instant_ns); }
  bool before(int64_t instant_ns) const { return got<bool>(ec_before, get(), instant_ns); }
  ec_reading read() const { return got<ec_reading>(ec_read, get()); }
  ec_clock_status status() const {
    ec_clock_status status;
    check(ec_status(get(), &status, sizeof status));
    return status;
  }
  int64_t begin_commit() const { return got<int64_t>(ec_begin_commit, get()); }
  /* False if the timeout went by, or cannot do: the commit must not be acknowledged then. */
  bool wait(int64_t timestamp_ns, nanoseconds timeout) const {
    ec_error code = ec_wait(get(), timestamp_ns, count(timeout), nullptr);
    if (code != EC_ERR_TIMEOUT) check(code);
    return code == EC_OK;
  }
  void wait(int64_t timestamp_ns) const { check(ec_wait(get(), timestamp_ns, EC_FOREVER, nullptr)); }
  bool held(const ec_lease &lease) const { return got<bool>(ec_lease_held, get(), &lease); }
  ec_clock *get() const noexcept { return handle_.get(); }

 private:
  std::unique_ptr<ec_clock, closer> handle_;
};

inline clock open(const ec_options &options = defaults()) { return clock(options); }

/* Owns a hybrid clock, which may outlive its clock. */
class hlc {
 public:
  explicit hlc(const clock &on)
      : handle_(got<ec_hlc *>(ec_hlc_open, on.get(), static_cast<ec_hlc_options *>(nullptr))) {}
  uint64_t tick() const { return got<uint64_t>(ec_hlc_tick, get()); }
  stamped tick_with_interval() const {
    stamped drawn;
    drawn.interval = got<ec_interval>(ec_hlc_tick_with_interval, get(), &drawn.stamp);
    return drawn;
  }
  /* A stamp to commit at: acknowledge once its ec_hlc_physical is past. */
  uint64_t begin_commit() const { return got<uint64_t>(ec_hlc_begin_commit, get()); }
  uint64_t observe(uint64_t remote) const { return got<uint64_t>(ec_hlc_observe, get(), remote); }
  ec_hlc *get() const noexcept { return handle_.get(); }

 private:
  std::unique_ptr<ec_hlc, closer> handle_;
};

}  // namespace epsilon

#endif
