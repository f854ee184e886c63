/* Clocks of scripted machines, for the tests of programs that use epsilon_clock.hpp. C++17. */
#ifndef EPSILON_CLOCK_TESTING_HPP
#define EPSILON_CLOCK_TESTING_HPP

#include "epsilon_clock.hpp"
#include "epsilon_clock_testing.h"

namespace epsilon {
namespace testing {

struct closer {
  void operator()(ec_testing_machine *machine) const noexcept { ec_testing_machine_close(machine); }
};

/* Owns a machine, which its clocks may outlive. */
class machine {
 public:
  machine() : handle_(got<ec_testing_machine *>(ec_testing_machine_open)) {}
  clock open(const ec_options &options = defaults()) const {
    return clock(got<ec_clock *>(ec_testing_open, get(), &options));
  }
  ec_testing_machine *get() const noexcept { return handle_.get(); }

 private:
  std::unique_ptr<ec_testing_machine, closer> handle_;
};

/* Stands in for epsilon::open, on a machine that lasts as long as the program. */
inline clock open(const ec_options &options = defaults()) {
  static const machine shared;
  return shared.open(options);
}

}  // namespace testing
}  // namespace epsilon

#endif
