/* What a C program does with a clock: read it, commit and wait, stamp a message, hold a lease.
 *
 *   cc clock.c $(pkg-config --cflags --libs epsilon_clock)
 *   cc -DSCRIPTED clock.c $(pkg-config --cflags --libs epsilon_clock_testing)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef SCRIPTED
#include <epsilon_clock_testing.h>
#else
#include <epsilon_clock.h>
#endif

static void check(ec_error error, const char *what) {
  if (error != EC_OK) {
    fprintf(stderr, "%s: %s\n", what, ec_error_text(error));
    exit(1);
  }
}

int main(void) {
  if (ec_abi_version() != EC_ABI_VERSION) {
    fprintf(stderr, "the library is %s, of another interface\n", ec_version_text());
    return 1;
  }
  ec_options options;
  check(ec_options_init(&options), "options");
  /* So that it runs everywhere. A database leaves it out, and refuses to serve on an error. */
  options.assume_error_ns = 2000000;
  ec_clock *clock;
#ifdef SCRIPTED
  ec_testing_machine *machine;
  check(ec_testing_machine_open(&machine), "machine");
  check(ec_testing_write_maxerror(machine, 1003), "the time daemon");
  check(ec_testing_open(machine, &options, &clock), "open");
#else
  check(ec_open(&options, &clock), "open");
#endif

  ec_interval now;
  check(ec_now(clock, &now), "now");
  printf("UTC is in [%" PRId64 ", %" PRId64 "], +-%" PRId64 " us\n", now.earliest_ns, now.latest_ns,
         (now.latest_ns - now.earliest_ns) / 2000);

  int64_t timestamp;
  check(ec_begin_commit(clock, &timestamp), "begin");
  check(ec_wait(clock, timestamp, 1000000000, NULL), "wait");
  bool past;
  check(ec_after(clock, timestamp, &past), "after");
  printf("committed at %" PRId64 ", surely past: %s\n", timestamp, past ? "yes" : "no");

  ec_hlc *hlc;
  uint64_t sent, received;
  char text[40];
  check(ec_hlc_open(clock, NULL, &hlc), "hybrid clock");
  check(ec_hlc_tick(hlc, &sent), "tick");
  check(ec_hlc_observe(hlc, sent, &received), "observe");
  check(ec_hlc_format(received, text, sizeof text), "format");
  printf("stamped %s, after what caused it: %s\n", text, sent < received ? "yes" : "no");

  ec_lease lease;
  bool held, expired;
  check(ec_now(clock, &now), "now");
  check(ec_lease_grant(&now, 10000000000, &lease), "grant");
  check(ec_lease_held(clock, &lease, &held), "held");
  check(ec_lease_expired(clock, &lease, &expired), "expired");
  printf("lease held: %s, expired: %s\n", held ? "yes" : "no", expired ? "yes" : "no");
  ec_fence fence = {0};
  check(ec_fence_admit(&fence, 34), "token 34");
  printf("token 33: %s\n", ec_error_text(ec_fence_admit(&fence, 33)));

  ec_clock_status status;
  check(ec_status(clock, &status, sizeof status), "status");
  printf("state %" PRId32 ", source '%s', bound %" PRIu64 " ns\n", status.state, status.source,
         status.bound_ns);

  check(ec_hlc_close(hlc), "close");
  check(ec_close(clock), "close");
#ifdef SCRIPTED
  check(ec_testing_machine_close(machine), "close");
#endif
  return past && sent < received && held && !expired ? 0 : 1;
}
