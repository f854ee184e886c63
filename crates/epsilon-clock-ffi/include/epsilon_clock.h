/* TrueTime: every reading of time is an interval that contains UTC.
 *
 * Written by cbindgen from crates/epsilon-clock-ffi/src; ABI.md says what may change.
 *
 * Instants are ns since 1970-01-01T00:00:00Z on Unix time made monotone (it stands still during a
 * leap second); spans are ns. Any pointer other than a handle must be null or good for as many bytes
 * as its type, or the length beside it, says; null and misaligned ones are errors. A handle may be
 * anything: one that is null, closed, of another kind or made up is an error. A failed call has
 * written nothing, unless its comment says so. No call throws or longjmps.
 */

#ifndef EPSILON_CLOCK_H
#define EPSILON_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Flag: remote stamps are taken over however far ahead they are.
#define EC_HLC_REMOTE_UNCHECKED 1

// Flag: `remote_limit_ns` counts from the best estimate, not from the interval's end.
#define EC_HLC_REMOTE_FIXED 2

// Flag: the local clock may jump ahead however far.
#define EC_HLC_FORWARD_UNCHECKED 4

// Leaves a setting of 64 bits at its default; of a span that is optional: none.
#define EC_DEFAULT UINT64_MAX

// Leaves a setting of 32 bits at its default.
#define EC_DEFAULT32 UINT32_MAX

// The `version` of `ec_options` and of `ec_hlc_options`.
#define EC_OPTIONS_VERSION 1

// Source: the kernel's NTP status (`adjtimex`), as chrony and ntpd keep it. The default.
#define EC_SOURCE_KERNEL 1

// Source: chronyd at 127.0.0.1:323, asked once a second. Not with `EC_REFRESH_INLINE`, as no reading
// waits for an answer.
#define EC_SOURCE_CHRONY 2

// Sources are read by calls that find it due, four times a second. The default; no thread.
#define EC_REFRESH_INLINE 0

// Sources are read by a thread of the clock's own, which `ec_close` ends. Not followed by a forked
// child, which calls `ec_refresh` or opens a clock of its own.
#define EC_REFRESH_BACKGROUND 1

// Sources are read by `ec_refresh` and `ec_look` only. No thread.
#define EC_REFRESH_MANUAL 2

// Flag: a bound counts although the kernel flags its clock as unsynchronised.
#define EC_ACCEPT_UNSYNC_FLAG 1

// Flag: bounds grow by `max_drift_ppb` alone, and nothing is learned of the oscillator.
#define EC_NO_DRIFT_LEARNING 2

// Flag: the vmclock device of virtual machines is not opened.
#define EC_NO_VMCLOCK 4

// A figure of 64 bits that is not known.
#define EC_UNKNOWN UINT64_MAX

// The interface that a header declares; compare with `ec_abi_version()`.
#define EC_ABI_VERSION 1

// A timeout that never goes by.
#define EC_FOREVER UINT64_MAX

// Why a call failed; 0 if it did not. `ec_error_text` says it in words.
//
// A failed call has written nothing, unless its comment says so. More codes may come within an ABI
// version: take one that you do not know for a failure of its range.
//
// 1 to 19: what was handed over. 20 to 29: opening. 30 to 49: no source vouches for the clock.
// 50 to 59: the clock gives no interval all the same. 60 to 69: waits. 70 to 79: hybrid stamps.
// 80 to 89: leases and fences.
enum ec_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It worked.
  EC_OK = 0,
  // A pointer is null that must not be.
  EC_ERR_NULL = 1,
  // A handle was never given out, or is one of another kind.
  EC_ERR_HANDLE = 2,
  // A handle was closed before the call, or by another thread while it waited.
  EC_ERR_CLOSED = 3,
  // The `size` of a struct is none that it can have, or fields are set that this library lacks.
  EC_ERR_SIZE = 4,
  // The `version` of a struct is none that this library knows.
  EC_ERR_VERSION = 5,
  // A pointer is not aligned as its type asks.
  EC_ERR_MISALIGNED = 6,
  // A setting lies outside what is allowed, or names a flag that does not exist.
  EC_ERR_OPTION = 7,
  // A value is none of its kind, such as an interval that ends before it begins.
  EC_ERR_VALUE = 8,
  // A buffer is too small.
  EC_ERR_BUFFER = 9,
  // Bytes or text are not what they should be: never written, broken, or of another format.
  EC_ERR_FORMAT = 10,
  // An instant or a span lies outside what can be told.
  EC_ERR_RANGE = 11,
  // All places for handles of this kind are taken: close some.
  EC_ERR_TOO_MANY = 12,
  // A bug in this library: nothing is known of what was done.
  EC_ERR_INTERNAL = 13,
  // The machine lacks a clock that is needed.
  EC_ERR_MISSING_CLOCK = 20,
  // The thread that was asked for could not be started.
  EC_ERR_THREAD = 21,
  // The clock could not be opened for another reason.
  EC_ERR_OPEN = 22,
  // No source vouches, for a reason that has no code of its own.
  EC_ERR_UNVOUCHED = 30,
  // The kernel says that its clock is not synchronised.
  EC_ERR_UNSYNCHRONIZED = 31,
  // The kernel reports a bound but flags its clock as unsynchronised.
  EC_ERR_UNSYNC_FLAG = 32,
  // What wrote the kernel's bound does not report one.
  EC_ERR_NO_BOUND = 33,
  // The time daemon's next write is awaited.
  EC_ERR_AWAITING_WRITE = 34,
  // chronyd does not vouch, or does not answer.
  EC_ERR_CHRONY = 35,
  // The kernel does not let this process ask.
  EC_ERR_NTP_STATUS = 36,
  // The clock gives no interval, for a reason that has no code of its own.
  EC_ERR_NO_INTERVAL = 50,
  // The last sync is longer ago than `max_age_ns`.
  EC_ERR_TOO_OLD = 51,
  // The bound is wider than `max_error_ns`.
  EC_ERR_TOO_WIDE = 52,
  // What sources said about the time contradicts itself.
  EC_ERR_CONTRADICTED = 53,
  // The machine was suspended, or its clock stepped, or the like.
  EC_ERR_DISTURBED = 54,
  // A step or a suspend broke what `assume_error_ns` had vouched for.
  EC_ERR_ASSUMPTION_BROKEN = 55,
  // The interval leaves the range of timestamps.
  EC_ERR_OUT_OF_RANGE = 56,
  // The caller was preempted at each attempt to compare the clocks; call again.
  EC_ERR_INTERRUPTED = 57,
  // The timeout is too short, or went by.
  EC_ERR_TIMEOUT = 60,
  // The timestamp can never be past.
  EC_ERR_NEVER_PAST = 61,
  // The timestamp to stay above is too far in the future.
  EC_ERR_FLOOR_TOO_FAR_AHEAD = 62,
  // No timestamp is left to commit at.
  EC_ERR_RANGE_EXHAUSTED = 63,
  // The clock's error is only assumed, and a source was waited for.
  EC_ERR_ONLY_ASSUMED = 64,
  // A remote stamp is further ahead than an honest peer can have issued.
  EC_ERR_TOO_FAR_AHEAD = 70,
  // The local clock jumped ahead by more than the limit.
  EC_ERR_FORWARD_JUMP = 71,
  // No stamp is left to issue.
  EC_ERR_END_OF_STAMPS = 72,
  // No stamp was issued, for a reason that has no code of its own.
  EC_ERR_NO_STAMP = 73,
  // A newer token has been here.
  EC_ERR_STALE_TOKEN = 80,
  // 0 and what is negative are no tokens.
  EC_ERR_NO_TOKEN = 81,
  // The expiry is further ahead than any lease is long.
  EC_ERR_IMPLAUSIBLE = 82,
  // The lease surely expired.
  EC_ERR_EXPIRED = 83,
  // It may be too late for the lease, by its margin.
  EC_ERR_TOO_LATE = 84,
  // The lease is not held, for a reason that has no code of its own.
  EC_ERR_NOT_HELD = 85,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ec_error ec_error;
#else
typedef int32_t ec_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How two intervals lie to each other.
enum ec_order
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The first surely came before the second.
  EC_BEFORE = -1,
  // They overlap: which came first cannot be told.
  EC_CONCURRENT = 0,
  // The first surely came after the second.
  EC_AFTER = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ec_order ec_order;
#else
typedef int32_t ec_order;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How well founded what a clock says is.
enum ec_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // One that this version has no name for.
  EC_STATE_OTHER = 0,
  // A source vouches.
  EC_STATE_SYNCHRONIZED = 1,
  // A source vouched before the clock was opened.
  EC_STATE_INHERITED = 2,
  // A source vouched, and has been silent for long.
  EC_STATE_HOLDOVER = 3,
  // Only the program vouches, by `assume_error_ns`.
  EC_STATE_ASSUMED = 4,
  // There is no interval.
  EC_STATE_UNAVAILABLE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ec_state ec_state;
#else
typedef int32_t ec_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A clock. Opaque: only its address means anything, and nothing is there to be read.
typedef struct ec_clock ec_clock;

// A hybrid clock. Opaque: only its address means anything, and nothing is there to be read.
typedef struct ec_hlc ec_hlc;

// What a clock is opened with: fill it by `ec_options_init`, then change what you want changed.
//
// It grows at its end only; `size` tells which header a program was built with. Fields that a program
// does not know of are at their defaults.
typedef struct ec_options {
  // `sizeof(ec_options)` of the caller's header.
  uint32_t size;
  // `EC_OPTIONS_VERSION`.
  uint32_t version;
  // Which sources: `EC_SOURCE_…`, added up; at least one.
  uint32_t sources;
  // Who reads them: one of `EC_REFRESH_…`.
  uint32_t refresh;
  // `EC_ACCEPT_UNSYNC_FLAG` and the like, added up; 0 for none.
  uint32_t flags;
  // How far true time may run from the machine's raw time, in ppb, 1 to 100000000; or
  // `EC_DEFAULT32`.
  uint32_t max_drift_ppb;
  // How far the oscillator's rate may wander from what was learned, in ppb; or `EC_DEFAULT32`.
  uint32_t max_wander_ppb;
  // 0.
  uint32_t reserved;
  // How much a daemon's own figure may fall short, in ns; or `EC_DEFAULT`.
  uint64_t daemon_margin_ns;
  // How often sources are read, in ns, 10 us to a year; or `EC_DEFAULT`.
  uint64_t look_interval_ns;
  // How often a reading compares the clocks, in ns, 10 us to 1 s; or `EC_DEFAULT`.
  uint64_t guard_interval_ns;
  // The widest error (half an interval) that is an interval still, in ns; or `EC_DEFAULT`.
  uint64_t max_error_ns;
  // How long after the last sync there still is an interval, in ns; or `EC_DEFAULT`.
  uint64_t max_age_ns;
  // The error that you vouch for while no source does, in ns, at most `max_error_ns`; or
  // `EC_DEFAULT` to vouch for none: then an unsynchronised machine gives errors.
  uint64_t assume_error_ns;
} ec_options;

// True time lies in here, both ends included, at some instant during the call that returned it.
typedef struct ec_interval {
  // UTC is not before this, in ns since 1970-01-01T00:00:00Z.
  int64_t earliest_ns;
  // UTC is not after this, in ns since 1970-01-01T00:00:00Z; never before `earliest_ns`.
  int64_t latest_ns;
} ec_interval;

// What a hybrid clock is opened with: fill it by `ec_hlc_options_init`. It grows at its end only.
typedef struct ec_hlc_options {
  // `sizeof(ec_hlc_options)` of the caller's header.
  uint32_t size;
  // `EC_OPTIONS_VERSION`.
  uint32_t version;
  // `EC_HLC_REMOTE_UNCHECKED` and the like, added up; 0 for none.
  uint32_t flags;
  // 0.
  uint32_t reserved;
  // How far a remote stamp may be ahead of the latest that it can be now, in ns; or `EC_DEFAULT`:
  // twice the clock's `max_error_ns`. Needed with `EC_HLC_REMOTE_FIXED`.
  uint64_t remote_limit_ns;
  // How far it may be ahead of the best estimate while there is no interval, in ns; or `EC_DEFAULT`.
  uint64_t offset_when_unknown_ns;
  // How far the local clock may jump ahead, in ns; or `EC_DEFAULT`: twice `max_error_ns`.
  uint64_t forward_limit_ns;
  // A stamp that all stamps stay above, as one persisted before a restart; 0 for none.
  uint64_t resume_from;
} ec_hlc_options;

// A lease: a right that ends by itself. The caller owns it, and may store or send its expiry.
typedef struct ec_lease {
  // When it ends, in ns since 1970.
  int64_t expiry_ns;
  // How long before that its holder stops acting, in ns; 0 when granted. The holder's own affair.
  uint64_t margin_ns;
} ec_lease;

// A fence, in the resource that leases protect. Store it in the transaction that it admitted.
typedef struct ec_fence {
  // The highest token that was admitted; 0 for none: a fence that is open.
  uint64_t highest;
} ec_fence;

// A reading for logs, whatever the state of the clock.
typedef struct ec_reading {
  // The best estimate of UTC, in ns since 1970: the interval's middle, or else the machine's time.
  int64_t estimate_ns;
  // Where UTC is, if `error` is 0; otherwise all of time.
  struct ec_interval interval;
  // Why there is no interval: an `ec_error`, 0 if there is one.
  int32_t error;
  // How well founded it is: an `ec_state`.
  int32_t state;
} ec_reading;

// How a clock is doing. It grows at its end only.
//
// Figures of 64 bits without a sign are `EC_UNKNOWN` where there are none.
typedef struct ec_clock_status {
  // An `ec_state`.
  int32_t state;
  // Why there is no interval: an `ec_error`, 0 if there is one.
  int32_t error;
  // Why the source that was looked at last does not vouch: an `ec_error`, 0 if it does.
  int32_t refusal;
  // 0.
  int32_t reserved;
  // Where UTC is, if `error` is 0; otherwise all of time.
  struct ec_interval interval;
  // Which source serves: `kernel` or `chrony`, ended by a zero; empty if none does.
  char source[16];
  // How long ago the source vouched, in ns.
  uint64_t age_ns;
  // In how long there will be no interval any more if no source vouches again, in ns.
  uint64_t refuses_in_ns;
  // Half the interval, in ns: the sum of the nine terms that follow.
  uint64_t bound_ns;
  // What the source reported, in ns.
  uint64_t reported_ns;
  // What rounding may have hidden, in ns.
  uint64_t rounding_ns;
  // `daemon_margin_ns`, in ns.
  uint64_t margin_ns;
  // Three times the deviation that the daemon wrote beside its bound, in ns.
  uint64_t deviation_ns;
  // What chronyd's forecast may miss since its last update, in ns.
  uint64_t wander_ns;
  // What may have happened between the source's write and the look that found it, in ns.
  uint64_t unseen_ns;
  // What reading several clocks one after the other may have hidden, in ns: clocks at the look, and the
  // counter in place of raw time since.
  uint64_t bracket_ns;
  // What the oscillator may have drifted since, in ns.
  uint64_t drift_ns;
  // `assume_error_ns`, in ns.
  uint64_t assumed_ns;
  // How often the sources were looked at.
  uint64_t looks;
  // How often a look came to nothing.
  uint64_t looks_dropped;
  // How often a source vouched anew.
  uint64_t writes;
  // How many steps of the clock were seen.
  uint64_t steps;
  // How many suspends were seen.
  uint64_t suspends;
  // How often claims contradicted each other.
  uint64_t contradictions;
  // How often what was learned of the oscillator was forgotten.
  uint64_t rate_resets;
  // How often a source refused.
  uint64_t refusals;
} ec_clock_status;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Opens the clock of this machine; null options mean the defaults: the kernel as source, no thread.
//
// A machine that is not synchronised is no error yet. The caller owns the handle, and gives it back by
// `ec_close`; the options are not kept. 1024 clocks can be open at a time. Allocates; nothing below
// does. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`, `EC_ERR_VERSION`,
// `EC_ERR_OPTION`, `EC_ERR_TOO_MANY` and 20 to 29.
ec_error ec_open(const struct ec_options *options,
                 struct ec_clock **clock);

// Closes a clock; a thread of its own has ended when this returns.
//
// Calls of `ec_wait` and `ec_wait_until_within` that are under way on other threads return
// `EC_ERR_CLOSED` within 10 ms. No other call may be under way on this clock; one that is nevertheless
// still gets its answer, unless more clocks are opened during it than places are free. Hybrid clocks
// on this clock go on, without its thread. Waits for that thread: up to 0.1 s where chronyd is asked.
// The memory is used again by a later clock. Any thread; not in a signal handler. Errors:
// `EC_ERR_NULL`, `EC_ERR_HANDLE`, and `EC_ERR_CLOSED` if it was closed before.
ec_error ec_close(struct ec_clock *clock);

// Reads the clock: some instant between call and return lies in the interval.
//
// Mostly no system call; never a lock or an allocation. Any number of threads, real-time ones and
// signal handlers included. The caller owns `now`. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`,
// `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`, and 30 to 59 while there is no interval.
ec_error ec_now(const struct ec_clock *clock, struct ec_interval *now);

// Tells whether an instant (ns since 1970) is surely past: before the earliest that it can be now.
//
// Costs, threads and errors as `ec_now`. The caller owns `past`.
ec_error ec_after(const struct ec_clock *clock, int64_t instant_ns, bool *past);

// Tells whether an instant (ns since 1970) is surely to come: after the latest that it can be now.
//
// Costs, threads and errors as `ec_now`. The caller owns `to_come`.
ec_error ec_before(const struct ec_clock *clock, int64_t instant_ns, bool *to_come);

// Reads the sources that need no waiting, and then the clock.
//
// The way to keep a clock with `EC_REFRESH_MANUAL`; with others there is no need. A system call for
// each source. The caller owns `now`. Any thread. Errors as `ec_now`.
ec_error ec_look(const struct ec_clock *clock, struct ec_interval *now);

// Asks the daemons behind the sources, waits for their answers, and does what `ec_look` does.
//
// Waits for up to 0.1 s where chronyd is a source. The caller owns `now`. Any thread. Errors as
// `ec_now`.
ec_error ec_refresh(const struct ec_clock *clock, struct ec_interval *now);

// Vouches again for a clock opened with `assume_error_ns`, after a step or a suspend broke that.
//
// Does nothing to other clocks, nor where a source vouches. The caller owns `now`. Any thread. Errors
// as `ec_now`.
ec_error ec_vouch(const struct ec_clock *clock,
                  struct ec_interval *now);

// Tells which of two intervals lies before the other.
//
// The caller owns all three. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_VALUE` if an interval ends before it begins.
ec_error ec_interval_order(const struct ec_interval *first,
                           const struct ec_interval *second,
                           ec_order *order);

// Returns what an error code means and what would end it, in English.
//
// Never null; static, not to be freed. Of a number that is no code it says so. Without the figures of
// the case at hand: for those see `ec_explain`. Any thread, signal handlers included.
const char *ec_error_text(int32_t error);

// Fills in the size, the version and the defaults.
//
// The caller owns the struct; nothing is kept of it. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`. Any
// thread.
ec_error ec_hlc_options_init(struct ec_hlc_options *options);

// Opens a hybrid clock on a clock; null options mean the defaults.
//
// It keeps what it needs of the clock, which may be closed before it. The caller owns the handle, and
// gives it back by `ec_hlc_close`; the options are not kept. 1024 can be open at a time. Allocates;
// nothing below does. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
// `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`, `EC_ERR_VERSION`, `EC_ERR_OPTION`, `EC_ERR_TOO_MANY`.
ec_error ec_hlc_open(const struct ec_clock *clock,
                     const struct ec_hlc_options *options,
                     struct ec_hlc **hlc);

// Closes a hybrid clock. No other call may be under way on it.
//
// The memory is used again by a later one. Any thread; not in a signal handler. Errors: `EC_ERR_NULL`,
// `EC_ERR_HANDLE`, and `EC_ERR_CLOSED` if it was closed before.
ec_error ec_hlc_close(struct ec_hlc *hlc);

// Stamps a local event, or a message to be sent: above all that this clock issued or observed.
//
// Needs no interval. Never a lock or an allocation. Any number of threads, signal handlers included.
// The caller owns `stamp`. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
// `EC_ERR_MISALIGNED`, `EC_ERR_FORWARD_JUMP`, `EC_ERR_END_OF_STAMPS`.
ec_error ec_hlc_tick(const struct ec_hlc *hlc,
                     uint64_t *stamp);

// Stamps a local event together with an interval that contains both true time and the stamp.
//
// The caller owns both. Costs, threads and errors as `ec_hlc_tick`; also those of `ec_now`, and then no
// stamp was issued.
ec_error ec_hlc_tick_with_interval(const struct ec_hlc *hlc,
                                   uint64_t *stamp,
                                   struct ec_interval *interval);

// Takes over the stamp of a received message, and stamps its receipt: above it and all before.
//
// The caller owns `stamp`. Costs, threads and errors as `ec_hlc_tick`; also `EC_ERR_TOO_FAR_AHEAD`, and
// then nothing was taken over.
ec_error ec_hlc_observe(const struct ec_hlc *hlc,
                        uint64_t remote,
                        uint64_t *stamp);

// Draws a commit stamp; `ec_wait` for its physical part before acknowledging the commit.
//
// The caller owns `stamp`. Costs, threads and errors as `ec_hlc_tick`; also those of `ec_now`.
ec_error ec_hlc_begin_commit(const struct ec_hlc *hlc, uint64_t *stamp);

// Tells the last stamp that was issued, or `resume_from` if none was.
//
// The caller owns `stamp`. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_HANDLE`, `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`.
ec_error ec_hlc_last(const struct ec_hlc *hlc, uint64_t *stamp);

// Takes the local clock as it is now for right, after `EC_ERR_FORWARD_JUMP`.
//
// Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`.
ec_error ec_hlc_accept_jump(const struct ec_hlc *hlc);

// Makes a stamp of an instant (ns since 1970, whole microseconds) and a counter (0 to 4095).
//
// The caller owns `stamp`. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, and `EC_ERR_RANGE` for what no stamp of eight bytes holds.
ec_error ec_hlc_make(int64_t physical_ns, uint16_t logical, uint64_t *stamp);

// Returns a stamp's physical part, in ns since 1970. Any stamp has one; any thread.
int64_t ec_hlc_physical(uint64_t stamp);

// Returns a stamp's counter, 0 to 4095. Any stamp has one; any thread.
uint16_t ec_hlc_logical(uint64_t stamp);

// Writes a stamp as 8 bytes that sort as stamps do.
//
// `capacity` counts the bytes of `out`, which the caller owns. Any thread, signal handlers included.
// Errors: `EC_ERR_NULL`, `EC_ERR_BUFFER`.
ec_error ec_hlc_encode(uint64_t stamp,
                       uint8_t *out,
                       size_t capacity);

// Reads a stamp from exactly 8 bytes.
//
// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length.
ec_error ec_hlc_decode(const uint8_t *from, size_t length, uint64_t *stamp);

// Writes the 12 bytes of other systems: an instant (ns since 1970) and a counter of 32 bits.
//
// They sort as stamps do. `capacity` counts the bytes of `out`, which the caller owns. Any thread,
// signal handlers included. Errors: `EC_ERR_NULL`, `EC_ERR_BUFFER`.
ec_error ec_hlc_encode_wide(int64_t physical_ns, uint32_t logical, uint8_t *out, size_t capacity);

// Reads an instant (ns since 1970) and a counter from exactly 12 bytes.
//
// The caller owns all three. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length.
ec_error ec_hlc_decode_wide(const uint8_t *from,
                            size_t length,
                            int64_t *physical_ns,
                            uint32_t *logical);

// Writes a stamp as text, such as `2026-11-20T05:50:00.123456Z_0042`: 32 bytes and a zero.
//
// `capacity` counts the bytes of `buffer`, which the caller owns. No allocation. Any thread. Errors:
// `EC_ERR_NULL`, `EC_ERR_BUFFER`.
ec_error ec_hlc_format(uint64_t stamp,
                       char *buffer,
                       size_t capacity);

// Reads a stamp from text: 16 hexadecimal digits, or the 32 bytes that `ec_hlc_format` writes.
//
// `length` counts the text without a terminating zero. The caller owns both. No allocation. Any
// thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_FORMAT`, `EC_ERR_RANGE`.
ec_error ec_hlc_parse(const char *text, size_t length, uint64_t *stamp);

// Grants a lease of `term_ns` from a reading: no clock that tells the truth sees less of it.
//
// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_VALUE` for no interval, `EC_ERR_RANGE` for a term past the year 2262.
ec_error ec_lease_grant(const struct ec_interval *now,
                        uint64_t term_ns,
                        struct ec_lease *lease);

// Grants another term to the holder of `lease`, in place: the expiry never moves to earlier.
//
// Threads, ownership and errors as `ec_lease_grant`.
ec_error ec_lease_renew(const struct ec_interval *now, uint64_t term_ns, struct ec_lease *lease);

// Tells the holder whether the lease is surely held: no other node can have it at that instant.
//
// The caller owns both. Costs, threads and errors as `ec_now`. An error is no "no": what to do without
// an interval is stop acting.
ec_error ec_lease_held(const struct ec_clock *clock,
                       const struct ec_lease *lease,
                       bool *held);

// Returns `EC_OK` if the lease is surely held, and otherwise why not.
//
// The caller owns the lease. Costs, threads and errors as `ec_now`; also `EC_ERR_EXPIRED`,
// `EC_ERR_TOO_LATE`.
ec_error ec_lease_check(const struct ec_clock *clock, const struct ec_lease *lease);

// Tells a claimant whether the lease surely expired, whatever its holder's margin: it may act then.
//
// The caller owns both. Costs, threads and errors as `ec_now`. Waits for it: `ec_wait` for `expiry_ns`.
ec_error ec_lease_expired(const struct ec_clock *clock,
                          const struct ec_lease *lease,
                          bool *expired);

// Tells for how long the lease is surely held yet, in ns; 0 if it is not held.
//
// The caller owns both. Costs, threads and errors as `ec_now`.
ec_error ec_lease_remaining(const struct ec_clock *clock,
                            const struct ec_lease *lease,
                            uint64_t *remaining_ns);

// Writes a lease's expiry as 8 bytes that sort as expiries do.
//
// `capacity` counts the bytes of `out`. The caller owns both. Any thread, signal handlers included.
// Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
ec_error ec_lease_encode(const struct ec_lease *lease, uint8_t *out, size_t capacity);

// Reads a lease without a margin from exactly 8 bytes.
//
// The caller owns both. Any thread, signal handlers included. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for another length, and `EC_ERR_FORMAT` for an expiry before
// 2001 or at the end of time: such bytes were never written, and the lease must not be taken for
// expired.
ec_error ec_lease_decode(const uint8_t *from, size_t length, struct ec_lease *lease);

// Returns `EC_OK` unless a lease has longer to go than any is granted for.
//
// For an expiry that came from elsewhere; `longest_ns` is the longest term. The caller owns both. Any
// thread, signal handlers included. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_VALUE`,
// `EC_ERR_IMPLAUSIBLE`.
ec_error ec_lease_plausible(const struct ec_lease *lease,
                            const struct ec_interval *now,
                            uint64_t longest_ns);

// Admits a token that no newer one came before, and takes it over into the fence.
//
// The caller owns the fence, and keeps other threads from it. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_NO_TOKEN` for 0, `EC_ERR_STALE_TOKEN`; the fence is as before then.
ec_error ec_fence_admit(struct ec_fence *fence, uint64_t token);

// Writes a fence as 9 bytes.
//
// `capacity` counts the bytes of `out`. The caller owns both. Any thread. Errors: `EC_ERR_NULL`,
// `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
ec_error ec_fence_encode(const struct ec_fence *fence, uint8_t *out, size_t capacity);

// Reads a fence from exactly 9 bytes.
//
// The caller owns both. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER` for
// another length, and `EC_ERR_FORMAT` for bytes that were never written: admit no token then.
ec_error ec_fence_decode(const uint8_t *from, size_t length, struct ec_fence *fence);

// Fills in the size, the version and the defaults.
//
// The caller owns the struct; nothing is kept of it. Errors: `EC_ERR_NULL`, `EC_ERR_MISALIGNED`. Any
// thread.
ec_error ec_options_init(struct ec_options *options);

// Reads the clock for a log: a clock without an interval is no error here.
//
// The caller owns `reading`. No lock, no allocation. Any thread. Errors: `EC_ERR_NULL`,
// `EC_ERR_HANDLE`, `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`.
ec_error ec_read(const struct ec_clock *clock, struct ec_reading *reading);

// Tells how a clock is doing; `size` is `sizeof(ec_clock_status)` of the caller's header.
//
// Writes no more than `size` bytes, and zeros to what a newer header has. The caller owns `status`. No
// lock, no allocation. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`, `EC_ERR_CLOSED`,
// `EC_ERR_MISALIGNED`, `EC_ERR_SIZE`.
ec_error ec_status(const struct ec_clock *clock,
                   struct ec_clock_status *status,
                   size_t size);

// Writes in English why there is no interval now, with figures and what to do; "no error" if there is.
//
// `capacity` counts the bytes of `buffer`, 1024 of which are always enough, the terminating zero
// included. `length`, unless null, gets the text's length without it, also with `EC_ERR_BUFFER`. The
// caller owns both. No lock, no allocation. Any thread. Errors: `EC_ERR_NULL`, `EC_ERR_HANDLE`,
// `EC_ERR_CLOSED`, `EC_ERR_MISALIGNED`, `EC_ERR_BUFFER`.
ec_error ec_explain(const struct ec_clock *clock,
                    char *buffer,
                    size_t capacity,
                    size_t *length);

// Returns the interface that the library has: a program built for another number must not go on.
//
// Within a number, functions, error codes and fields at the ends of structs may be added.
// Never fails. Any thread, signal handlers included.
uint32_t ec_abi_version(void);

// Returns the library's version: major * 65536 + minor * 256 + patch.
//
// Never fails. Any thread, signal handlers included.
uint32_t ec_version(void);

// Returns the library's version as text, such as "0.1.0".
//
// Never null; static, not to be freed. Any thread, signal handlers included.
const char *ec_version_text(void);

// Draws a commit timestamp, in ns since 1970: not before true time, and above all that this clock drew.
//
// Replicate under it, then `ec_wait` for it, and only then acknowledge: any commit that begins after
// that, on whatever node, gets a later one. Costs and threads as `ec_now`. The caller owns
// `timestamp_ns`. Errors as `ec_now`, and `EC_ERR_RANGE_EXHAUSTED`.
ec_error ec_begin_commit(const struct ec_clock *clock,
                         int64_t *timestamp_ns);

// Draws a commit timestamp that is also above `floor_ns`, such as that of a row it overwrites.
//
// Both in ns since 1970. Costs, threads, ownership and errors as `ec_begin_commit`, and
// `EC_ERR_FLOOR_TOO_FAR_AHEAD` for a floor more than a second after the latest that it can be now.
ec_error ec_begin_commit_after(const struct ec_clock *clock,
                               int64_t floor_ns,
                               int64_t *timestamp_ns);

// Waits until a timestamp (ns since 1970) is surely past, for `timeout_ns` from now at most.
//
// `EC_FOREVER` waits without a deadline. Fails at once if the timeout cannot do, and tells in
// `needed_ns`, unless that is null, how long a timeout would do as far as is known; nothing is written
// there otherwise. Returns `EC_OK` only after `ec_after` said so; a commit must not be acknowledged
// after any other result, but the wait can be taken up again. Sleeps, and spins for the last 140 us.
// No allocation. Any number of threads; not in a signal handler. Errors: those of `ec_now` as soon as
// there is no interval any more, `EC_ERR_TIMEOUT`, `EC_ERR_NEVER_PAST`, and `EC_ERR_CLOSED` if another
// thread closes the clock meanwhile.
ec_error ec_wait(const struct ec_clock *clock,
                 int64_t timestamp_ns,
                 uint64_t timeout_ns,
                 uint64_t *needed_ns);

// Waits until a source vouches for the clock to within `epsilon_ns`, for `timeout_ns` at most.
//
// Epsilon is half an interval; `EC_FOREVER` takes any, and as a timeout it never goes by. An assumed
// error does not count. The caller owns `now`. Sleeps. Any number of threads; not in a signal handler.
// Errors: `EC_ERR_TIMEOUT` if the interval stayed too wide, `EC_ERR_ONLY_ASSUMED`, those of `ec_now`
// that were in force at the end, and `EC_ERR_CLOSED` if another thread closes the clock meanwhile.
ec_error ec_wait_until_within(const struct ec_clock *clock,
                              uint64_t epsilon_ns,
                              uint64_t timeout_ns,
                              struct ec_interval *now);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EPSILON_CLOCK_H */

#if defined(__cplusplus) || __STDC_VERSION__ >= 201112L
#ifndef __cplusplus
#define EC_STATIC_ASSERT _Static_assert
#else
#define EC_STATIC_ASSERT static_assert
#endif
EC_STATIC_ASSERT(sizeof(ec_interval) == 16, "ec_interval");
EC_STATIC_ASSERT(sizeof(ec_reading) == 32, "ec_reading");
EC_STATIC_ASSERT(sizeof(ec_options) == 80, "ec_options");
EC_STATIC_ASSERT(sizeof(ec_hlc_options) == 48, "ec_hlc_options");
EC_STATIC_ASSERT(sizeof(ec_clock_status) == 208, "ec_clock_status");
EC_STATIC_ASSERT(sizeof(ec_lease) == 16, "ec_lease");
EC_STATIC_ASSERT(sizeof(ec_fence) == 8, "ec_fence");
EC_STATIC_ASSERT(sizeof(ec_error) == 4, "ec_error");
EC_STATIC_ASSERT(sizeof(bool) == 1, "bool");
#undef EC_STATIC_ASSERT
#endif
