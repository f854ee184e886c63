/* Machines whose clocks a test sets by hand, for programs that use epsilon_clock.h.
 *
 * Link libepsilon_clock_testing instead of libepsilon_clock, all of which it has too; never both, and
 * never in production. Pointers and handles are as epsilon_clock.h says.
 */

#ifndef EPSILON_CLOCK_TESTING_H
#define EPSILON_CLOCK_TESTING_H

#include "epsilon_clock.h"

// A machine whose clocks a test sets. Opaque.
typedef struct ec_testing_machine ec_testing_machine;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a machine on the morning of 2026-11-20, whose kernel is not synchronised.
//
// Its time passes only by `ec_testing_advance`, by sleeps of its clocks, and by 20 ns for each reading
// of a clock. The caller owns the handle, and gives it back by `ec_testing_machine_close`; clocks on it
// go on after that. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_TOO_MANY`.
ec_error ec_testing_machine_open(struct ec_testing_machine **machine);

// Closes a machine. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
ec_error ec_testing_machine_close(struct ec_testing_machine *machine);

// Opens a clock of a machine, as `ec_open` does of this one; null options mean the defaults.
//
// Its source is the machine's kernel; `EC_SOURCE_CHRONY` and `EC_REFRESH_BACKGROUND` are
// `EC_ERR_OPTION`. Errors and ownership as `ec_open`.
ec_error ec_testing_open(const struct ec_testing_machine *machine,
                         const ec_options *options,
                         ec_clock **clock);

// Lets true time pass, in ns. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
ec_error ec_testing_advance(const struct ec_testing_machine *machine, uint64_t span_ns);

// Writes a bound in us into the kernel, as chrony does: it is synchronised from then on.
//
// A multiple of 500 is what writers without a bound leave behind, and refused. Errors as
// `ec_testing_advance`.
ec_error ec_testing_write_maxerror(const struct ec_testing_machine *machine, int64_t maxerror_us);

// Steps the machine's real time, in ns, as an operator who sets the clock does. Errors as
// `ec_testing_advance`.
ec_error ec_testing_step(const struct ec_testing_machine *machine, int64_t by_ns);

// Suspends the machine for so many ns. Errors as `ec_testing_advance`.
ec_error ec_testing_suspend(const struct ec_testing_machine *machine, uint64_t span_ns);

// Makes the oscillator wrong: a raw second lasts 1 + ppb / 10^9 true ones. Errors as
// `ec_testing_advance`.
ec_error ec_testing_set_drift_ppb(const struct ec_testing_machine *machine, int32_t ppb);

// Sets the true time that each reading of a clock takes, in ns. Errors as `ec_testing_advance`.
ec_error ec_testing_set_read_cost(const struct ec_testing_machine *machine, uint64_t cost_ns);

// Tells UTC, which a test may know, in ns since 1970. Errors as `ec_testing_advance`, and
// `EC_ERR_MISALIGNED`.
ec_error ec_testing_true_time(const struct ec_testing_machine *machine, int64_t *instant_ns);

// Panics inside the library, to show that no panic leaves it: returns `EC_ERR_INTERNAL`.
ec_error ec_testing_panic(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EPSILON_CLOCK_TESTING_H */
