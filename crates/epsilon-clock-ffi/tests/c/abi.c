/* What the header promises, from C: every error code that a caller's mistake gets, the vectors of the
 * stamps, and handles that are closed while they are used. Run by ci/ffi.sh as it is, under valgrind
 * and with AddressSanitizer: `abi hlc_vectors.tsv [--no-fork]`. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "epsilon_clock_testing.h"

#define CHECK(condition)                                                 \
  do {                                                                   \
    if (!(condition)) {                                                  \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
      exit(1);                                                           \
    }                                                                    \
  } while (0)

#define GIVES(code, call)                                                                      \
  do {                                                                                         \
    ec_error got_ = (call);                                                                    \
    if (got_ != (code)) {                                                                      \
      fprintf(stderr, "%s:%d: %s gives %d (%s), not %d\n", __FILE__, __LINE__, #call, (int)got_, \
              ec_error_text(got_), (int)(code));                                               \
      exit(1);                                                                                 \
    }                                                                                          \
  } while (0)

#define SECOND INT64_C(1000000000)

/* A clock of this machine that has an interval wherever it runs. */
static ec_clock *real_clock(uint32_t refresh) {
  ec_options options;
  ec_clock *clock = NULL;
  GIVES(EC_OK, ec_options_init(&options));
  options.assume_error_ns = 50000000;
  options.refresh = refresh;
  GIVES(EC_OK, ec_open(&options, &clock));
  CHECK(clock != NULL);
  return clock;
}

static void texts(void) {
  CHECK(ec_abi_version() == EC_ABI_VERSION);
  CHECK(ec_version() >> 16 < 100 && strlen(ec_version_text()) >= 5);
  for (int code = -3; code < 200; code++) CHECK(strlen(ec_error_text(code)) > 5);
  CHECK(strcmp(ec_error_text(EC_OK), ec_error_text(EC_ERR_NULL)) != 0);
  CHECK(strcmp(ec_error_text(12345), ec_error_text(-1)) == 0);
  GIVES(EC_ERR_INTERNAL, ec_testing_panic());
}

/* What each function says of a handle. */
static void bad_clock(const ec_clock *clock, ec_error code) {
  ec_interval now = {1, 2};
  ec_reading reading;
  ec_clock_status status;
  ec_lease lease = {SECOND, 0};
  ec_hlc *hlc = NULL;
  bool yes = true;
  int64_t instant = 7;
  uint64_t span = 7;
  char text[8];
  GIVES(code, ec_now(clock, &now));
  GIVES(code, ec_after(clock, 0, &yes));
  GIVES(code, ec_before(clock, 0, &yes));
  GIVES(code, ec_look(clock, &now));
  GIVES(code, ec_refresh(clock, &now));
  GIVES(code, ec_vouch(clock, &now));
  GIVES(code, ec_read(clock, &reading));
  GIVES(code, ec_status(clock, &status, sizeof status));
  GIVES(code, ec_explain(clock, text, sizeof text, NULL));
  GIVES(code, ec_begin_commit(clock, &instant));
  GIVES(code, ec_begin_commit_after(clock, 0, &instant));
  GIVES(code, ec_wait(clock, 0, EC_FOREVER, &span));
  GIVES(code, ec_wait_until_within(clock, EC_FOREVER, EC_FOREVER, &now));
  GIVES(code, ec_lease_held(clock, &lease, &yes));
  GIVES(code, ec_lease_check(clock, &lease));
  GIVES(code, ec_lease_expired(clock, &lease, &yes));
  GIVES(code, ec_lease_remaining(clock, &lease, &span));
  GIVES(code, ec_hlc_open(clock, NULL, &hlc));
  GIVES(code, ec_close((ec_clock *)clock));
  /* Nothing was written. */
  CHECK(now.earliest_ns == 1 && now.latest_ns == 2 && yes && instant == 7 && span == 7 && !hlc);
}

static void bad_hlc(const ec_hlc *hlc, ec_error code) {
  uint64_t stamp = 7;
  ec_interval interval;
  GIVES(code, ec_hlc_tick(hlc, &stamp));
  GIVES(code, ec_hlc_tick_with_interval(hlc, &stamp, &interval));
  GIVES(code, ec_hlc_observe(hlc, 1, &stamp));
  GIVES(code, ec_hlc_begin_commit(hlc, &stamp));
  GIVES(code, ec_hlc_last(hlc, &stamp));
  GIVES(code, ec_hlc_accept_jump(hlc));
  GIVES(code, ec_hlc_close((ec_hlc *)hlc));
  CHECK(stamp == 7);
}

static void handles(void) {
  ec_clock *clock = real_clock(EC_REFRESH_INLINE);
  ec_hlc *hlc = NULL;
  int local = 0;
  void *heap = malloc(16);
  GIVES(EC_OK, ec_hlc_open(clock, NULL, &hlc));
  bad_clock(NULL, EC_ERR_NULL);
  bad_hlc(NULL, EC_ERR_NULL);
  void *const none[] = {(void *)1, (void *)UINTPTR_MAX, &local, heap, (void *)&ec_now};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    bad_clock(none[i], EC_ERR_HANDLE);
    bad_hlc(none[i], EC_ERR_HANDLE);
  }
  bad_clock((ec_clock *)hlc, EC_ERR_HANDLE);
  bad_hlc((ec_hlc *)clock, EC_ERR_HANDLE);
  free(heap);
  ec_interval now;
  GIVES(EC_OK, ec_now(clock, &now));
  GIVES(EC_OK, ec_close(clock));
  bad_clock(clock, EC_ERR_CLOSED);
  /* A hybrid clock outlives its clock. */
  uint64_t stamp;
  GIVES(EC_OK, ec_hlc_tick(hlc, &stamp));
  GIVES(EC_OK, ec_hlc_close(hlc));
  bad_hlc(hlc, EC_ERR_CLOSED);
}

static void pointers(void) {
  ec_clock *clock = real_clock(EC_REFRESH_INLINE);
  _Alignas(8) char room[64 + sizeof(ec_clock_status)] = {0};
  char *odd = room + 1;
  bool yes;
  uint64_t span;
  GIVES(EC_ERR_NULL, ec_open(NULL, NULL));
  GIVES(EC_ERR_MISALIGNED, ec_open(NULL, (ec_clock **)odd));
  GIVES(EC_ERR_MISALIGNED, ec_open((ec_options *)odd, &clock));
  GIVES(EC_ERR_NULL, ec_options_init(NULL));
  GIVES(EC_ERR_MISALIGNED, ec_options_init((ec_options *)odd));
  GIVES(EC_ERR_NULL, ec_now(clock, NULL));
  GIVES(EC_ERR_MISALIGNED, ec_now(clock, (ec_interval *)odd));
  GIVES(EC_ERR_NULL, ec_after(clock, 0, NULL));
  GIVES(EC_ERR_NULL, ec_before(clock, 0, NULL));
  GIVES(EC_ERR_NULL, ec_look(clock, NULL));
  GIVES(EC_ERR_NULL, ec_refresh(clock, NULL));
  GIVES(EC_ERR_NULL, ec_vouch(clock, NULL));
  GIVES(EC_ERR_NULL, ec_read(clock, NULL));
  GIVES(EC_ERR_MISALIGNED, ec_read(clock, (ec_reading *)odd));
  GIVES(EC_ERR_NULL, ec_status(clock, NULL, sizeof(ec_clock_status)));
  GIVES(EC_ERR_MISALIGNED, ec_status(clock, (ec_clock_status *)odd, sizeof(ec_clock_status)));
  GIVES(EC_ERR_NULL, ec_explain(clock, NULL, 8, NULL));
  GIVES(EC_ERR_NULL, ec_begin_commit(clock, NULL));
  GIVES(EC_ERR_MISALIGNED, ec_begin_commit(clock, (int64_t *)odd));
  GIVES(EC_ERR_NULL, ec_begin_commit_after(clock, 0, NULL));
  GIVES(EC_OK, ec_wait(clock, 0, 0, NULL));
  GIVES(EC_ERR_MISALIGNED, ec_wait(clock, 0, 0, (uint64_t *)odd));
  GIVES(EC_ERR_NULL, ec_wait_until_within(clock, 0, 0, NULL));
  GIVES(EC_ERR_NULL, ec_hlc_open(clock, NULL, NULL));
  GIVES(EC_ERR_NULL, ec_hlc_make(0, 0, NULL));
  GIVES(EC_ERR_NULL, ec_hlc_encode(0, NULL, 8));
  GIVES(EC_ERR_NULL, ec_hlc_decode(NULL, 8, &span));
  GIVES(EC_ERR_NULL, ec_hlc_decode((uint8_t *)room, 8, NULL));
  GIVES(EC_ERR_NULL, ec_hlc_format(0, NULL, 64));
  GIVES(EC_ERR_NULL, ec_hlc_parse(NULL, 16, &span));
  GIVES(EC_ERR_NULL, ec_lease_grant(NULL, 0, NULL));
  GIVES(EC_ERR_NULL, ec_lease_held(clock, NULL, &yes));
  GIVES(EC_ERR_NULL, ec_fence_admit(NULL, 1));
  GIVES(EC_ERR_NULL, ec_fence_decode((uint8_t *)room, 9, NULL));
  GIVES(EC_ERR_NULL, ec_interval_order(NULL, NULL, NULL));
  GIVES(EC_OK, ec_close(clock));
}

static void options(void) {
  struct {
    ec_options known;
    uint64_t newer[4];
  } larger;
  memset(&larger, 0, sizeof larger);
  ec_clock *clock = NULL;
  ec_options *o = &larger.known;
#define RESET() GIVES(EC_OK, ec_options_init(o))
  RESET();
  CHECK(o->size == sizeof *o && o->version == EC_OPTIONS_VERSION);
  GIVES(EC_OK, ec_open(o, &clock));
  GIVES(EC_OK, ec_close(clock));
  /* Built with a newer header: fine while it uses nothing that this library lacks. */
  o->size = sizeof larger;
  GIVES(EC_OK, ec_open(o, &clock));
  GIVES(EC_OK, ec_close(clock));
  larger.newer[3] = 1;
  GIVES(EC_ERR_SIZE, ec_open(o, &clock));
  larger.newer[3] = 0;
  const uint32_t sizes[] = {0, 8, 72, 79, 81, 4104, UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    o->size = sizes[i];
    GIVES(EC_ERR_SIZE, ec_open(o, &clock));
  }
  RESET();
  o->version = 0;
  GIVES(EC_ERR_VERSION, ec_open(o, &clock));
  o->version = 2;
  GIVES(EC_ERR_VERSION, ec_open(o, &clock));
  memset(o, 0, sizeof *o);
  GIVES(EC_ERR_VERSION, ec_open(o, &clock));
#define REFUSED(field, value)               \
  RESET();                                  \
  o->field = (value);                       \
  GIVES(EC_ERR_OPTION, ec_open(o, &clock))
  REFUSED(sources, 0);
  REFUSED(sources, 4);
  REFUSED(sources, EC_SOURCE_CHRONY);
  REFUSED(refresh, 3);
  REFUSED(flags, 8);
  REFUSED(reserved, 1);
  REFUSED(max_drift_ppb, 0);
  REFUSED(max_wander_ppb, 100000001);
  REFUSED(max_error_ns, 0);
  REFUSED(max_age_ns, 0);
  REFUSED(look_interval_ns, 1);
  REFUSED(guard_interval_ns, 2 * SECOND);
  REFUSED(assume_error_ns, 3600 * SECOND);
  REFUSED(daemon_margin_ns, UINT64_MAX - 1);

  ec_hlc_options h;
  ec_hlc *hlc = NULL;
  clock = real_clock(EC_REFRESH_MANUAL);
  GIVES(EC_OK, ec_hlc_options_init(&h));
  h.resume_from = UINT64_C(7352949965305675818);
  GIVES(EC_OK, ec_hlc_open(clock, &h, &hlc));
  uint64_t stamp;
  GIVES(EC_OK, ec_hlc_last(hlc, &stamp));
  CHECK(stamp == h.resume_from);
  GIVES(EC_OK, ec_hlc_close(hlc));
  h.flags = EC_HLC_REMOTE_FIXED;
  GIVES(EC_ERR_OPTION, ec_hlc_open(clock, &h, &hlc));
  h.flags = 8;
  GIVES(EC_ERR_OPTION, ec_hlc_open(clock, &h, &hlc));
  h.flags = 0;
  h.size = 40;
  GIVES(EC_ERR_SIZE, ec_hlc_open(clock, &h, &hlc));
  h.version = 3;
  GIVES(EC_ERR_VERSION, ec_hlc_open(clock, &h, &hlc));

  struct {
    ec_clock_status known;
    uint64_t newer[2];
  } status;
  memset(&status, 0xff, sizeof status);
  GIVES(EC_OK, ec_status(clock, &status.known, sizeof status));
  CHECK(status.newer[0] == 0 && status.newer[1] == 0);
  GIVES(EC_ERR_SIZE, ec_status(clock, &status.known, sizeof status.known - 8));
  GIVES(EC_ERR_SIZE, ec_status(clock, &status.known, sizeof status.known + 1));
  GIVES(EC_ERR_SIZE, ec_status(clock, &status.known, SIZE_MAX));
  GIVES(EC_OK, ec_close(clock));
}

static size_t unhex(const char *text, uint8_t *bytes) {
  size_t count = strlen(text) / 2;
  for (size_t i = 0; i < count; i++) {
    unsigned byte;
    CHECK(sscanf(text + 2 * i, "%2x", &byte) == 1);
    bytes[i] = (uint8_t)byte;
  }
  return count;
}

/* The vectors that the tests of the Rust library read as well. */
static void vectors(const char *path) {
  FILE *file = fopen(path, "r");
  CHECK(file != NULL);
  char line[512];
  int narrow = 0, wide = 0;
  while (fgets(line, sizeof line, file)) {
    if (line[0] == '#') continue;
    char micros[32], logical[16], number[32], hex[32], human[64], wide_hex[32], wide_human[64];
    CHECK(sscanf(line, "%31s %15s %31s %31s %63s %31s %63s", micros, logical, number, hex, human,
                 wide_hex, wide_human) == 7);
    uint8_t bytes[16], made[16];
    int64_t physical;
    uint32_t counter;
    CHECK(unhex(wide_hex, bytes) == 12);
    GIVES(EC_OK, ec_hlc_decode_wide(bytes, 12, &physical, &counter));
    GIVES(EC_OK, ec_hlc_encode_wide(physical, counter, made, sizeof made));
    CHECK(memcmp(bytes, made, 12) == 0);
    wide++;
    if (micros[0] == '-') continue;
    narrow++;
    uint64_t stamp, expected = strtoull(number, NULL, 10);
    CHECK(physical == strtoll(micros, NULL, 10) * 1000 && counter == strtoul(logical, NULL, 10));
    GIVES(EC_OK, ec_hlc_make(physical, (uint16_t)counter, &stamp));
    CHECK(stamp == expected);
    CHECK(ec_hlc_physical(stamp) == physical && ec_hlc_logical(stamp) == counter);
    CHECK(unhex(hex, bytes) == 8);
    GIVES(EC_OK, ec_hlc_encode(stamp, made, 8));
    CHECK(memcmp(bytes, made, 8) == 0);
    stamp = 0;
    GIVES(EC_OK, ec_hlc_decode(bytes, 8, &stamp));
    CHECK(stamp == expected);
    char text[33];
    GIVES(EC_OK, ec_hlc_format(stamp, text, sizeof text));
    CHECK(strcmp(text, human) == 0);
    GIVES(EC_ERR_BUFFER, ec_hlc_format(stamp, text, 32));
    stamp = 0;
    GIVES(EC_OK, ec_hlc_parse(human, strlen(human), &stamp));
    CHECK(stamp == expected);
    stamp = 0;
    GIVES(EC_OK, ec_hlc_parse(hex, strlen(hex), &stamp));
    CHECK(stamp == expected);
    GIVES(EC_ERR_FORMAT, ec_hlc_parse(human, strlen(human) - 1, &stamp));
    human[26] = '+';
    GIVES(EC_ERR_FORMAT, ec_hlc_parse(human, strlen(human), &stamp));
    human[26] = 'Z';
    human[28] = '+';
    GIVES(EC_ERR_FORMAT, ec_hlc_parse(human, strlen(human), &stamp));
  }
  fclose(file);
  CHECK(narrow >= 12 && wide > narrow);
  uint64_t stamp;
  uint8_t bytes[9] = {0};
  GIVES(EC_ERR_BUFFER, ec_hlc_decode(bytes, 7, &stamp));
  GIVES(EC_ERR_BUFFER, ec_hlc_decode(bytes, 9, &stamp));
  GIVES(EC_ERR_BUFFER, ec_hlc_encode(1, bytes, 7));
  GIVES(EC_ERR_RANGE, ec_hlc_make(-1000, 0, &stamp));
  GIVES(EC_ERR_RANGE, ec_hlc_make(1001, 0, &stamp));
  GIVES(EC_ERR_RANGE, ec_hlc_make(1000, 4096, &stamp));
  GIVES(EC_ERR_FORMAT, ec_hlc_parse("\xff\xfe", 2, &stamp));
  GIVES(EC_ERR_FORMAT, ec_hlc_parse("9999-99-99T99:99:99.999999Z_0000", 32, &stamp));
}

static void leases(void) {
  ec_testing_machine *machine;
  ec_clock *clock;
  GIVES(EC_OK, ec_testing_machine_open(&machine));
  GIVES(EC_OK, ec_testing_write_maxerror(machine, 1003));
  GIVES(EC_OK, ec_testing_open(machine, NULL, &clock));
  ec_interval now;
  ec_lease lease, read;
  bool held, expired;
  uint64_t left;
  GIVES(EC_OK, ec_now(clock, &now));
  GIVES(EC_OK, ec_lease_grant(&now, 10 * SECOND, &lease));
  CHECK(lease.expiry_ns == now.latest_ns + 10 * SECOND && lease.margin_ns == 0);
  lease.margin_ns = SECOND;
  GIVES(EC_OK, ec_lease_held(clock, &lease, &held));
  GIVES(EC_OK, ec_lease_expired(clock, &lease, &expired));
  CHECK(held && !expired);
  GIVES(EC_OK, ec_lease_check(clock, &lease));
  GIVES(EC_OK, ec_lease_remaining(clock, &lease, &left));
  CHECK(left > 8 * SECOND && left < 9 * SECOND);
  GIVES(EC_OK, ec_lease_plausible(&lease, &now, 10 * SECOND));
  GIVES(EC_ERR_IMPLAUSIBLE, ec_lease_plausible(&lease, &now, 9 * SECOND));
  GIVES(EC_OK, ec_testing_advance(machine, 9 * SECOND + SECOND / 2));
  GIVES(EC_OK, ec_testing_write_maxerror(machine, 1003));
  GIVES(EC_OK, ec_look(clock, &now));
  GIVES(EC_ERR_TOO_LATE, ec_lease_check(clock, &lease));
  GIVES(EC_OK, ec_lease_renew(&now, 1, &lease));
  CHECK(lease.margin_ns == SECOND);
  GIVES(EC_OK, ec_testing_advance(machine, SECOND));
  GIVES(EC_ERR_EXPIRED, ec_lease_check(clock, &lease));
  GIVES(EC_OK, ec_lease_expired(clock, &lease, &expired));
  CHECK(expired);

  uint8_t bytes[9], expected[8];
  GIVES(EC_OK, ec_lease_encode(&lease, bytes, sizeof bytes));
  uint64_t turned = (uint64_t)lease.expiry_ns ^ (UINT64_C(1) << 63);
  for (int i = 0; i < 8; i++) expected[i] = (uint8_t)(turned >> (56 - 8 * i));
  CHECK(memcmp(bytes, expected, 8) == 0);
  GIVES(EC_OK, ec_lease_decode(bytes, 8, &read));
  CHECK(read.expiry_ns == lease.expiry_ns && read.margin_ns == 0);
  GIVES(EC_ERR_BUFFER, ec_lease_decode(bytes, 9, &read));
  GIVES(EC_ERR_BUFFER, ec_lease_encode(&lease, bytes, 7));
  memset(bytes, 0, sizeof bytes);
  GIVES(EC_ERR_FORMAT, ec_lease_decode(bytes, 8, &read));
  memset(bytes, 0xff, sizeof bytes);
  GIVES(EC_ERR_FORMAT, ec_lease_decode(bytes, 8, &read));
  now.latest_ns = now.earliest_ns - 1;
  GIVES(EC_ERR_VALUE, ec_lease_grant(&now, 1, &lease));
  now.latest_ns = INT64_MAX - 1;
  GIVES(EC_ERR_RANGE, ec_lease_grant(&now, 10, &lease));

  ec_fence fence = {0}, stored;
  GIVES(EC_ERR_NO_TOKEN, ec_fence_admit(&fence, 0));
  GIVES(EC_OK, ec_fence_admit(&fence, 34));
  GIVES(EC_OK, ec_fence_admit(&fence, 34));
  GIVES(EC_ERR_STALE_TOKEN, ec_fence_admit(&fence, 33));
  CHECK(fence.highest == 34);
  GIVES(EC_OK, ec_fence_encode(&fence, bytes, 9));
  const uint8_t at_34[9] = {1, 0, 0, 0, 0, 0, 0, 0, 34};
  CHECK(memcmp(bytes, at_34, 9) == 0);
  GIVES(EC_OK, ec_fence_decode(bytes, 9, &stored));
  CHECK(stored.highest == 34);
  memset(bytes, 0, sizeof bytes);
  GIVES(EC_ERR_FORMAT, ec_fence_decode(bytes, 9, &stored));
  GIVES(EC_ERR_BUFFER, ec_fence_decode(bytes, 8, &stored));

  ec_interval a = {10, 20}, b = {20, 30}, c = {21, 30};
  ec_order order;
  GIVES(EC_OK, ec_interval_order(&a, &b, &order));
  CHECK(order == EC_CONCURRENT);
  GIVES(EC_OK, ec_interval_order(&a, &c, &order));
  CHECK(order == EC_BEFORE);
  GIVES(EC_OK, ec_interval_order(&c, &a, &order));
  CHECK(order == EC_AFTER);
  GIVES(EC_OK, ec_close(clock));
  GIVES(EC_OK, ec_testing_machine_close(machine));
}

/* True time is known here. */
static void readings(void) {
  ec_testing_machine *machine;
  ec_clock *clock;
  ec_hlc *hlc;
  ec_interval now;
  ec_reading reading;
  ec_clock_status status;
  int64_t truth;
  char text[1024];
  size_t length, again;
  GIVES(EC_OK, ec_testing_machine_open(&machine));
  GIVES(EC_OK, ec_testing_open(machine, NULL, &clock));
  GIVES(EC_ERR_UNSYNCHRONIZED, ec_now(clock, &now));
  GIVES(EC_OK, ec_read(clock, &reading));
  CHECK(reading.error == EC_ERR_UNSYNCHRONIZED && reading.state == EC_STATE_UNAVAILABLE);
  CHECK(reading.interval.earliest_ns == INT64_MIN && reading.interval.latest_ns == INT64_MAX);
  GIVES(EC_OK, ec_explain(clock, text, sizeof text, &length));
  CHECK(strlen(text) == length && strstr(text, "rtcsync") != NULL);
  GIVES(EC_ERR_BUFFER, ec_explain(clock, text, length, &again));
  CHECK(again == length);
  GIVES(EC_ERR_UNSYNCHRONIZED, ec_wait_until_within(clock, EC_FOREVER, SECOND / 10, &now));

  GIVES(EC_OK, ec_testing_write_maxerror(machine, 1003));
  GIVES(EC_OK, ec_look(clock, &now));
  GIVES(EC_OK, ec_testing_true_time(machine, &truth));
  CHECK(now.earliest_ns <= truth && truth <= now.latest_ns + 1000);
  GIVES(EC_ERR_TIMEOUT, ec_wait_until_within(clock, 1000, SECOND / 10, &now));
  GIVES(EC_OK, ec_wait_until_within(clock, SECOND, SECOND / 10, &now));
  GIVES(EC_OK, ec_status(clock, &status, sizeof status));
  CHECK(strcmp(status.source, "kernel") == 0 && status.error == EC_OK && status.looks > 0);
  CHECK(status.bound_ns == status.reported_ns + status.rounding_ns + status.margin_ns +
                               status.deviation_ns + status.wander_ns + status.unseen_ns + status.bracket_ns + status.drift_ns +
                               status.assumed_ns);
  bool yes;
  GIVES(EC_OK, ec_after(clock, truth - SECOND, &yes));
  CHECK(yes);
  GIVES(EC_OK, ec_before(clock, truth + SECOND, &yes));
  CHECK(yes);

  int64_t commit;
  uint64_t needed = 0;
  GIVES(EC_OK, ec_begin_commit(clock, &commit));
  GIVES(EC_ERR_TIMEOUT, ec_wait(clock, commit, 10000, &needed));
  CHECK(needed > 10000 && needed < 10000000);
  /* More than it needs: what runs this may stand still for longer than that. */
  GIVES(EC_OK, ec_wait(clock, commit, needed + 30 * SECOND, NULL));
  GIVES(EC_OK, ec_testing_true_time(machine, &truth));
  CHECK(truth > commit);
  /* Longer than a slice. */
  GIVES(EC_OK, ec_wait(clock, truth + SECOND / 5, 30 * SECOND, NULL));
  GIVES(EC_ERR_TIMEOUT, ec_wait(clock, truth + 60 * SECOND, SECOND, &needed));
  CHECK(needed > (uint64_t)(58 * SECOND) && needed < (uint64_t)(61 * SECOND));
  GIVES(EC_ERR_NEVER_PAST, ec_wait(clock, INT64_MAX, EC_FOREVER, NULL));
  GIVES(EC_ERR_FLOOR_TOO_FAR_AHEAD, ec_begin_commit_after(clock, truth + 60 * SECOND, &commit));

  uint64_t sent, received, last;
  GIVES(EC_OK, ec_hlc_open(clock, NULL, &hlc));
  GIVES(EC_OK, ec_hlc_tick(hlc, &sent));
  GIVES(EC_OK, ec_hlc_observe(hlc, sent + 5, &received));
  CHECK(received > sent + 5);
  GIVES(EC_ERR_TOO_FAR_AHEAD, ec_hlc_observe(hlc, sent + (UINT64_C(3600000000) << 12), &received));
  GIVES(EC_OK, ec_hlc_last(hlc, &last));
  CHECK(last == received);
  GIVES(EC_OK, ec_hlc_begin_commit(hlc, &sent));
  GIVES(EC_OK, ec_wait(clock, ec_hlc_physical(sent), 30 * SECOND, NULL));

  /* After a step out of the interval there is none, until a write agrees with what was known before. */
  GIVES(EC_OK, ec_testing_step(machine, -5 * SECOND));
  GIVES(EC_OK, ec_testing_advance(machine, SECOND));
  GIVES(EC_ERR_DISTURBED, ec_now(clock, &now));
  GIVES(EC_OK, ec_testing_step(machine, 5 * SECOND));
  GIVES(EC_OK, ec_testing_write_maxerror(machine, 1013));
  GIVES(EC_OK, ec_testing_advance(machine, SECOND));
  GIVES(EC_OK, ec_now(clock, &now));
  GIVES(EC_OK, ec_testing_true_time(machine, &truth));
  CHECK(now.earliest_ns <= truth && truth <= now.latest_ns + 1000);
  GIVES(EC_OK, ec_testing_suspend(machine, 3600 * SECOND));
  GIVES(EC_ERR_DISTURBED, ec_now(clock, &now));
  GIVES(EC_OK, ec_testing_step(machine, 3600 * SECOND));
  GIVES(EC_ERR_FORWARD_JUMP, ec_hlc_tick(hlc, &sent));
  GIVES(EC_OK, ec_hlc_accept_jump(hlc));
  GIVES(EC_OK, ec_hlc_tick(hlc, &sent));
  GIVES(EC_OK, ec_hlc_close(hlc));
  GIVES(EC_OK, ec_close(clock));

  ec_options o;
  GIVES(EC_OK, ec_options_init(&o));
  o.refresh = EC_REFRESH_BACKGROUND;
  GIVES(EC_ERR_OPTION, ec_testing_open(machine, &o, &clock));
  o.refresh = EC_REFRESH_MANUAL;
  o.sources = EC_SOURCE_CHRONY;
  GIVES(EC_ERR_OPTION, ec_testing_open(machine, &o, &clock));
  GIVES(EC_OK, ec_testing_machine_close(machine));
  GIVES(EC_ERR_CLOSED, ec_testing_machine_close(machine));
  GIVES(EC_ERR_CLOSED, ec_testing_open(machine, NULL, &clock));
}

static ec_clock *shared;
static int waiting;

static void *wait_for_a_minute(void *result) {
  ec_reading reading;
  GIVES(EC_OK, ec_read(shared, &reading));
  __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
  *(ec_error *)result = ec_wait(shared, reading.estimate_ns + 60 * SECOND, EC_FOREVER, NULL);
  return NULL;
}

static void *wait_for_a_source(void *result) {
  ec_interval now;
  __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
  *(ec_error *)result = ec_wait_until_within(shared, 0, EC_FOREVER, &now);
  return NULL;
}

static void closed_under_waiters(void) {
  shared = real_clock(EC_REFRESH_INLINE);
  pthread_t threads[4];
  ec_error results[4] = {0};
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, i % 2 ? wait_for_a_source : wait_for_a_minute,
                         &results[i]) == 0);
  while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < 4) usleep(1000);
  usleep(50000);
  time_t began = time(NULL);
  GIVES(EC_OK, ec_close(shared));
  for (int i = 0; i < 4; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(results[i] == EC_ERR_CLOSED);
  }
  CHECK(time(NULL) - began < 20);
}

static void *read_until_closed(void *result) {
  ec_interval now;
  ec_error error;
  do error = ec_now(shared, &now);
  while (error == EC_OK || error == EC_ERR_INTERRUPTED);
  *(ec_error *)result = error;
  return NULL;
}

static void closed_under_readers(void) {
  for (int round = 0; round < 20; round++) {
    shared = real_clock(round % 2 ? EC_REFRESH_BACKGROUND : EC_REFRESH_INLINE);
    pthread_t threads[2];
    ec_error results[2];
    for (int i = 0; i < 2; i++)
      CHECK(pthread_create(&threads[i], NULL, read_until_closed, &results[i]) == 0);
    usleep(3000);
    GIVES(EC_OK, ec_close(shared));
    for (int i = 0; i < 2; i++) {
      CHECK(pthread_join(threads[i], NULL) == 0);
      CHECK(results[i] == EC_ERR_CLOSED);
    }
  }
}

/* A handle that is read for ever, while its place is used by one clock after the other. */
static void *read_until_told(void *handle) {
  ec_interval now;
  int64_t closed = 0;
  while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST)) {
    ec_error error = ec_now(handle, &now);
    if (error == EC_ERR_CLOSED) closed++;
    CHECK(error == EC_OK || error == EC_ERR_INTERRUPTED || (error == EC_ERR_CLOSED && closed > 0));
    CHECK(closed == 0 || error == EC_ERR_CLOSED);
  }
  CHECK(closed > 0);
  return NULL;
}

static void used_again_under_readers(void) {
  enum { PLACES = 1024 };
  waiting = 0;
  ec_clock *read = real_clock(EC_REFRESH_MANUAL);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, read_until_told, read) == 0);
  usleep(3000);
  GIVES(EC_OK, ec_close(read));
  for (int i = 0; i < PLACES + 100; i++) {
    ec_clock *next = real_clock(EC_REFRESH_MANUAL);
    CHECK(next != read);
    GIVES(EC_OK, ec_close(next));
  }
  __atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void places(void) {
  enum { MOST = 1024 };
  static ec_clock *open[MOST];
  ec_clock *more;
  ec_interval now;
  ec_options o;
  GIVES(EC_OK, ec_options_init(&o));
  o.refresh = EC_REFRESH_MANUAL;
  o.assume_error_ns = 1000000;
  for (int i = 0; i < MOST; i++) GIVES(EC_OK, ec_open(&o, &open[i]));
  GIVES(EC_ERR_TOO_MANY, ec_open(&o, &more));
  for (int i = 0; i < MOST; i++) GIVES(EC_OK, ec_now(open[i], &now));
  for (int i = 0; i < MOST; i++) {
    /* Those opened first have code of their own, which must not take one for another. */
    const int told_apart = i < 8;
    GIVES(EC_OK, ec_close(open[i]));
    for (int j = 0; told_apart && j < 8; j++) {
      GIVES(j <= i ? EC_ERR_CLOSED : EC_OK, ec_now(open[j], &now));
      /* One bit off: a place's next use, a place beside it, another kind. */
      for (int bit = 0; bit < 24; bit++) {
        ec_clock *other = (ec_clock *)((uintptr_t)open[j] ^ (uintptr_t)1 << bit);
        if (ec_now(other, &now) != EC_OK) continue;
        int is_open = 0;
        for (int k = i + 1; k < MOST; k++) is_open |= open[k] == other;
        CHECK(is_open);
      }
    }
  }
  /* Places are used again, their handles are not. */
  for (int i = 0; i < MOST + 10; i++) {
    GIVES(EC_OK, ec_open(&o, &more));
    CHECK(more != open[i % MOST]);
    GIVES(EC_ERR_CLOSED, ec_now(open[i % MOST], &now));
    GIVES(EC_ERR_CLOSED, ec_close(open[i % MOST]));
    GIVES(EC_OK, ec_close(more));
  }
}

static volatile sig_atomic_t struck;

static void strike(int number) {
  (void)number;
  ec_interval now;
  bool yes;
  if (ec_now(shared, &now) == EC_OK && ec_after(shared, 0, &yes) == EC_OK && yes) struck++;
}

/* A handler reads the clock in the middle of whatever the program does with it. */
static void signals(void) {
  shared = real_clock(EC_REFRESH_INLINE);
  struct sigaction action = {.sa_handler = strike}, ignore = {.sa_handler = SIG_IGN};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
  ec_interval now;
  ec_reading reading;
  time_t began = time(NULL);
  while (struck < 100 && time(NULL) - began < 30) {
    CHECK(ec_now(shared, &now) != EC_ERR_INTERNAL);
    GIVES(EC_OK, ec_read(shared, &reading));
  }
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
  /* One may still be on its way, under valgrind for long. */
  CHECK(sigaction(SIGALRM, &ignore, NULL) == 0);
  CHECK(struck >= 100);
  GIVES(EC_OK, ec_close(shared));
}

/* A child has no thread of its parent's, and waits for none. */
static void forks(void) {
  ec_clock *clock = real_clock(EC_REFRESH_BACKGROUND);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    ec_interval now;
    ec_error refreshed = ec_refresh(clock, &now);
    _exit(ec_close(clock) == EC_OK && refreshed != EC_ERR_INTERNAL ? 0 : 1);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  GIVES(EC_OK, ec_close(clock));
}

static int threads_here(void) {
  int count = 0;
  char line[128];
  FILE *file = fopen("/proc/self/status", "r");
  CHECK(file != NULL);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Threads: %d", &count) == 1) break;
  fclose(file);
  return count;
}

static void threads(void) {
  int before = threads_here();
  ec_clock *clock = real_clock(EC_REFRESH_INLINE);
  CHECK(threads_here() == before);
  GIVES(EC_OK, ec_close(clock));
  clock = real_clock(EC_REFRESH_MANUAL);
  CHECK(threads_here() == before);
  GIVES(EC_OK, ec_close(clock));
  ec_options o;
  GIVES(EC_OK, ec_options_init(&o));
  o.sources = EC_SOURCE_KERNEL | EC_SOURCE_CHRONY;
  o.refresh = EC_REFRESH_BACKGROUND;
  o.look_interval_ns = 10000000;
  GIVES(EC_OK, ec_open(&o, &clock));
  CHECK(threads_here() == before + 1);
  ec_clock_status first, later;
  GIVES(EC_OK, ec_status(clock, &first, sizeof first));
  for (int i = 0; i < 500; i++) {
    usleep(10000);
    GIVES(EC_OK, ec_status(clock, &later, sizeof later));
    if (later.looks > first.looks + 2) break;
  }
  CHECK(later.looks > first.looks + 2);
  GIVES(EC_OK, ec_close(clock));
  CHECK(threads_here() == before);
}

int main(int argc, char **argv) {
  CHECK(argc == 2 || (argc == 3 && strcmp(argv[2], "--no-fork") == 0));
  texts();
  handles();
  pointers();
  options();
  vectors(argv[1]);
  leases();
  readings();
  threads();
  closed_under_waiters();
  closed_under_readers();
  used_again_under_readers();
  signals();
  if (argc == 2) forks();
  places();
  puts("the C interface keeps its promises");
  return 0;
}
