/* The C interface with owners that close, and exceptions in place of codes. C++17; one page. */
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

/* ns since 1970 on Unix time. Spans are std::chrono::nanoseconds, and not negative. */
using nanoseconds = std::chrono::nanoseconds;
inline uint64_t count(nanoseconds span) {
  return span.count() < 0 ? 0 : static_cast<uint64_t>(span.count());
}

struct closer {
  void operator()(ec_clock *clock) const noexcept { ec_close(clock); }
  void operator()(ec_hlc *hlc) const noexcept { ec_hlc_close(hlc); }
};

inline ec_options defaults() {
  ec_options options;
  check(ec_options_init(&options));
  return options;
}

/* Owns a clock. Any number of threads may read it; it must outlive their calls. */
class clock {
 public:
  explicit clock(ec_clock *owned) : handle_(owned) {}
  explicit clock(const ec_options &options = defaults()) {
    ec_clock *opened = nullptr;
    check(ec_open(&options, &opened));
    handle_.reset(opened);
  }
  ec_interval now() const {
    ec_interval now;
    check(ec_now(get(), &now));
    return now;
  }
  bool after(int64_t instant_ns) const {
    bool past = false;
    check(ec_after(get(), instant_ns, &past));
    return past;
  }
  bool before(int64_t instant_ns) const {
    bool to_come = false;
    check(ec_before(get(), instant_ns, &to_come));
    return to_come;
  }
  ec_reading read() const {
    ec_reading reading;
    check(ec_read(get(), &reading));
    return reading;
  }
  ec_clock_status status() const {
    ec_clock_status status;
    check(ec_status(get(), &status, sizeof status));
    return status;
  }
  int64_t begin_commit() const {
    int64_t timestamp_ns = 0;
    check(ec_begin_commit(get(), &timestamp_ns));
    return timestamp_ns;
  }
  /* False if the timeout went by, or cannot do: the commit must not be acknowledged then. */
  bool wait(int64_t timestamp_ns, nanoseconds timeout) const {
    ec_error code = ec_wait(get(), timestamp_ns, count(timeout), nullptr);
    if (code == EC_ERR_TIMEOUT) return false;
    check(code);
    return true;
  }
  void wait(int64_t timestamp_ns) const {
    check(ec_wait(get(), timestamp_ns, EC_FOREVER, nullptr));
  }
  bool held(const ec_lease &lease) const {
    bool held = false;
    check(ec_lease_held(get(), &lease, &held));
    return held;
  }
  ec_clock *get() const noexcept { return handle_.get(); }

 private:
  std::unique_ptr<ec_clock, closer> handle_;
};

/* Owns a hybrid clock, which may outlive its clock. */
class hlc {
 public:
  explicit hlc(const clock &on) {
    ec_hlc *opened = nullptr;
    check(ec_hlc_open(on.get(), nullptr, &opened));
    handle_.reset(opened);
  }
  uint64_t tick() const {
    uint64_t stamp = 0;
    check(ec_hlc_tick(get(), &stamp));
    return stamp;
  }
  uint64_t observe(uint64_t remote) const {
    uint64_t stamp = 0;
    check(ec_hlc_observe(get(), remote, &stamp));
    return stamp;
  }
  ec_hlc *get() const noexcept { return handle_.get(); }

 private:
  std::unique_ptr<ec_hlc, closer> handle_;
};

}  // namespace epsilon

#endif
