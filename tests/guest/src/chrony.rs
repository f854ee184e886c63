//! chronyd, disciplining the guest's clock to a server that serves true time.
//!
//! With two chronyd on one clock, containment would be all but a tautology: the server would serve
//! the very clock that the client corrects. Here the server knows a truth that the clock has to be
//! brought to, so containment is scored for what it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::{Awaiting, Refusal};
use epsilon_clock::time::{LeapKind, LeapSecond};
use epsilon_clock::{Clock, ClockError, ClockState, Disturbance, Status, Timestamp};

use crate::daemon::{Daemon, Observed, Observer, distinct, run_for};
use crate::host::{Calm, eventually, sleep_ms};
use crate::kernel;
use crate::ntp_server::{ADDRESS, Server};
use crate::readers::{Miss, Readers, Score};
use crate::starved::starved;
use crate::steps::START;
use crate::truth::{DAY, MS, SECOND, Truth, raw_now};

/// Where the daemon's settings are, in the guest's memory.
const CONFIG: &str = "/run/chrony.conf";

/// What the oscillator is off by, unknown to chronyd.
const OSCILLATOR_PPB: i64 = -40_000;

/// Often enough that two writes are hardly ever taken for one.
const LOOK_MS: i64 = 20;

/// For how long after a bound that holds a reading may still rest on the false one before it, beside
/// the look interval and whatever kept the readers from running: what a look takes in here.
const NOTICED_WITHIN: i64 = 10 * MS;

/// How many bounds in a row chronyd may get wrong (4 were seen).
const SHORT_AT_MOST: usize = 6;

/// What a clock may answer beside intervals: chronyd's first bounds after a start are wide, on a
/// busy machine wider than `max_error`.
const EXPECTED: [&str; 2] = ["Unvouched", "TooWide"];

fn start(rtcsync: bool) -> Daemon {
    start_with(if rtcsync { "rtcsync" } else { "" })
}

fn start_with(settings: &str) -> Daemon {
    let settings = format!(
        "server {ADDRESS} minpoll 1 maxpoll 2 iburst\n\
         port 0\ncmdport 0\npidfile /run/chronyd.pid\n{settings}\n"
    );
    std::fs::write(CONFIG, settings).expect("a file in /run");
    // One that was killed leaves it behind.
    let _ = std::fs::remove_file("/run/chronyd.pid");
    Daemon::start(
        "chronyd",
        "chrony/usr/sbin/chronyd",
        &["-d", "-u", "root", "-f", CONFIG],
    )
}

fn clock() -> Clock {
    let look = Duration::from_millis(LOOK_MS.unsigned_abs());
    let built = Clock::builder().look_interval(look).build();
    built.expect("the clocks are there")
}

/// A clock that nobody has vouched for yet, and chronyd at work on a kernel that is unsynchronised.
struct Disciplined {
    truth: Truth,
    server: Server,
    clock: Clock,
    start_raw: i64,
    observer: Observer,
    readers: Readers,
    daemon: Daemon,
}

impl Disciplined {
    /// Starts all of it, with a server that was prepared, and waits for intervals.
    fn start(prepare: impl Fn(&Server)) -> Self {
        kernel::reset(START);
        let truth = Truth::from_now(15 * MS, OSCILLATOR_PPB);
        let server = Server::start(truth, MS);
        prepare(&server);
        let clock = clock();
        let unsynchronised = || {
            matches!(
                clock.calm_now(),
                Err(ClockError::Unvouched(Refusal::Unsynchronized { .. }))
            )
        };
        assert!(eventually(unsynchronised), "{:?}", clock.calm_now());
        let start_raw = raw_now();
        let observer = Observer::start(truth);
        let readers = Readers::at_leisure(truth, &[("under chronyd", &clock)]);
        let daemon = start(true);
        let settled = clock.wait_until_synchronized(Duration::from_secs(120));
        println!(
            "synchronised after {} ms: {settled:?}",
            (raw_now() - start_raw) / MS
        );
        assert!(settled.is_ok());
        Self {
            truth,
            server,
            clock,
            start_raw,
            observer,
            readers,
            daemon,
        }
    }
}

/// chronyd over a network that keeps assumption A2: no reading at all may be false.
pub(crate) fn disciplines() {
    let Disciplined {
        truth,
        server,
        clock,
        start_raw,
        observer,
        readers,
        mut daemon,
    } = Disciplined::start(|_| {});

    // A good path, then one that is longer both ways, and the good one again.
    run_for(&mut daemon, 25_000);
    assert!(server.answered.load(Ordering::SeqCst) > 8);
    server.way_there.store(3 * MS, Ordering::SeqCst);
    server.way_back.store(3 * MS, Ordering::SeqCst);
    run_for(&mut daemon, 15_000);
    server.way_there.store(0, Ordering::SeqCst);
    server.way_back.store(0, Ordering::SeqCst);
    run_for(&mut daemon, 10_000);

    // Gone by SIGTERM: nothing is said, so the claim is carried on, at the drift rate.
    daemon.end(libc::SIGTERM);
    grows_with_the_drift(&clock);
    // A restart, and an end without any chance to tidy up.
    let daemon = start(true);
    revives(&clock);
    daemon.end(libc::SIGKILL);
    grows_with_the_drift(&clock);
    let mut daemon = start(true);
    revives(&clock);
    run_for(&mut daemon, 3_000);

    let observed = observer.stop();
    let recognised = clock.calm_status().counters.writes;
    daemon.end(libc::SIGTERM);
    let scores = readers.stop();
    observed.tell(start_raw);
    println!(
        "{} requests answered; real time is {} µs off",
        server.answered.load(Ordering::SeqCst),
        truth.error_of_real() / 1_000
    );
    let counters = clock.calm_status().counters;
    assert_eq!((counters.steps, counters.suspends), (0, 0), "{counters:?}");
    if observed.short().count() > 0 && observed.was_starved() {
        // What chronyd measured was spoilt by pauses, which it took for the network's.
        starved("chronyd's bounds were false");
    }
    assert_eq!(observed.short().count(), 0, "this network breaks A2");
    assert_eq!(counters.contradictions, 0, "{counters:?}");
    scores[0].assert_kept(&EXPECTED);
    all_recognised(&observed, recognised);
}

/// That every write was recognised, and none invented.
fn all_recognised(observed: &Observed, recognised: u64) {
    // A clock that looks every so often cannot tell two writes apart that follow close on another.
    let (bounds, merged) = distinct(&observed.writes, 2 * LOOK_MS + observed.longest_gap / MS);
    // One honest bound in 500 looks like that of a writer without one, and has to wait.
    let by_chance = bounds.iter().filter(|write| write.maxerror_us % 500 == 0);
    let by_chance = by_chance.count();
    println!(
        "{} bounds were written, {merged} of them right after another, {by_chance} a multiple of \
         500 µs; {recognised} recognised",
        bounds.len(),
    );
    assert!(bounds.len() > 15, "chronyd hardly wrote");
    let written = u64::try_from(bounds.len()).expect("a number");
    let least = u64::try_from(bounds.len() - merged - by_chance).expect("a number");
    if recognised > written && observed.was_starved() {
        starved("the observer missed writes");
    }
    assert!(
        (least..=written).contains(&recognised),
        "{recognised} of {written} writes were recognised ({least} had to be)"
    );
}

/// A strain of assumption A2: chronyd starts over a path that is 40 ms slower on the way back, which
/// it owns up to, and the path recovers; later it is slow for a while once more.
pub(crate) fn path_recovers() {
    let way_back = |server: &Server, time| server.way_back.store(time, Ordering::SeqCst);
    let disciplined = Disciplined::start(|server| way_back(server, 40 * MS));
    let recover = |server: &Server| way_back(server, 0);
    strain(disciplined, recover, |server, daemon| {
        way_back(server, 40 * MS);
        run_for(daemon, 12_000);
        way_back(server, 0);
        run_for(daemon, 12_000);
    });
}

/// Another one: the server goes 20 ms off for a while, says that it may be 40 ms off, and recovers.
/// chronyd takes the dispersion of the best of its samples, which may be an old one, and so falls
/// short at either change.
pub(crate) fn server_recovers() {
    let mut disciplined = Disciplined::start(|_| {});
    run_for(&mut disciplined.daemon, 15_000);
    disciplined.server.ahead.store(20 * MS, Ordering::SeqCst);
    let dispersion = &disciplined.server.dispersion;
    dispersion.store(40 * MS, Ordering::SeqCst);
    let recover = |server: &Server| {
        server.ahead.store(0, Ordering::SeqCst);
        server.dispersion.store(MS, Ordering::SeqCst);
    };
    strain(disciplined, recover, |_, _| {});
}

/// Lets something that is bad but honest recover. What chronyd writes then is an estimate from
/// samples of both kinds, and may be false. How far and for how long is scored and printed; it must
/// not outlive chronyd's own error.
fn strain(
    disciplined: Disciplined,
    recover: impl Fn(&Server),
    go_on: impl Fn(&Server, &mut Daemon),
) {
    let Disciplined {
        truth,
        server,
        clock,
        start_raw,
        observer,
        readers,
        mut daemon,
    } = disciplined;
    run_for(&mut daemon, 20_000);
    println!(
        "before the recovery real time is {} µs off, and the clock says {:?}",
        truth.error_of_real() / 1_000,
        clock.calm_now()
    );
    let recovered = raw_now();
    recover(&server);
    run_for(&mut daemon, 20_000);
    go_on(&server, &mut daemon);

    let observed = observer.stop();
    daemon.end(libc::SIGTERM);
    let scores = readers.stop();
    observed.tell(start_raw);
    let counters = clock.calm_status().counters;
    assert_eq!((counters.steps, counters.suspends), (0, 0), "{counters:?}");
    let score = &scores[0];
    score.assert_answered(&["Unvouched", "TooWide", "Contradicted"]);
    if counters.contradictions == 0 {
        assert_eq!(score.fallen_back, 0, "{:#?}", score.false_ones);
    }
    strained(&observed, score, counters.contradictions, recovered);
}

/// Prints how far and for how long readings were false, and makes sure that each of them rests on a
/// bound of chronyd's that was false itself, and is over when chronyd has written one that holds.
fn strained(observed: &Observed, score: &Score, contradictions: u64, recovered: i64) {
    let bounds: Vec<_> = distinct(&observed.writes, 0).0;
    // One look after the write, by whichever reader comes next.
    let seen_within = LOOK_MS * MS + score.longest_gap + NOTICED_WITHIN;
    let rests_on_a_short_one = |miss: &Miss| {
        bounds.iter().enumerate().any(|(n, write)| {
            let over = bounds
                .get(n + 1)
                .map_or(i64::MAX, |next| next.raw + seen_within);
            write.short > 0 && (write.not_yet..over).contains(&miss.to)
        })
    };
    let since = |raw: i64| (raw - recovered) as f64 / SECOND as f64;
    let short = bounds.iter().filter(|write| write.short > 0);
    for write in short.clone() {
        println!(
            "false bound {:.3} s after the change: {} µs while {} µs off",
            since(write.raw),
            write.maxerror_us,
            write.off / 1_000
        );
    }
    let first = score.misses.iter().map(|miss| miss.from).min();
    let last = score.misses.iter().map(|miss| miss.to).max();
    if let (Some(first), Some(last)) = (first, last) {
        println!(
            "A2 strained: {} of {} readings false by up to {} µs, from {:.3} to {:.3} s after the \
             change; {} contradictions noticed",
            score.misses.len(),
            score.intervals,
            score.misses.iter().map(|miss| miss.by).max().unwrap_or(0) / 1_000,
            since(first),
            since(last),
            contradictions
        );
    } else {
        println!("A2 held this time: no reading was false");
    }
    for miss in &score.misses {
        assert!(
            rests_on_a_short_one(miss),
            "{miss:?} is false, {:.3} s after the change, and no bound of chronyd's is",
            since(miss.from)
        );
    }
    let in_a_row = bounds.split(|write| write.short == 0).map(<[_]>::len).max();
    let last = bounds.last().expect("chronyd wrote");
    assert!(
        in_a_row <= Some(SHORT_AT_MOST) && last.short == 0,
        "{in_a_row:?} bounds in a row were false, and at the end {last:?}"
    );
}

/// That epsilon grows with the default drift of 200 ppm, and not with the kernel's 500.
fn grows_with_the_drift(clock: &Clock) {
    // Until whatever it wrote last must have been seen.
    let looks = clock.calm_status().counters.looks;
    assert!(eventually(
        || clock.calm_status().counters.looks >= looks + 3
    ));
    // And the earliest end of a sharper claim before it is past: it holds up that of a wide one.
    assert!(eventually(|| {
        let status = clock.calm_status();
        let (interval, bound) = (status.interval.expect("an interval"), status.bound);
        interval.epsilon() + Duration::from_micros(1) >= bound.expect("a bound").total()
    }));
    let before = (clock.calm_status(), clock.ntp_status().expect("adjtimex"));
    sleep_ms(4_000);
    let after = (clock.calm_status(), clock.ntp_status().expect("adjtimex"));
    assert_eq!(
        before.0.counters.writes, after.0.counters.writes,
        "a daemon that is gone has written"
    );
    synchronised_or_suspicious(&after.0);
    let age = after.0.age.expect("a claim") - before.0.age.expect("a claim");
    let epsilon = |status: &Status| status.interval.expect("an interval").epsilon();
    let grown = epsilon(&after.0) - epsilon(&before.0);
    let expected = age.as_nanos() / 5_000;
    println!(
        "without a daemon epsilon grew by {grown:?} in {age:?}, the kernel's bound by {} µs",
        after.1.maxerror - before.1.maxerror
    );
    // Slower where the clock has learned how fast the oscillator really is.
    assert!(
        grown > Duration::ZERO && grown.as_nanos() <= expected + 2_000,
        "{grown:?} in {age:?}, and not up to {expected} ns"
    );
    assert!(after.1.maxerror - before.1.maxerror >= 1_500);
}

/// That the clock relies on the daemon's last bound; or that this one was by chance what writers
/// without a bound write, once in 500 times, and the one before it is carried on.
fn synchronised_or_suspicious(status: &Status) {
    let suspicious = matches!(
        status.refusal,
        Some(Refusal::AwaitingWrite {
            because: Awaiting::Suspicious { .. }
        })
    );
    let carried_on = suspicious && status.state == ClockState::Holdover;
    assert!(
        carried_on || status.state == ClockState::Synchronized,
        "{status:?}"
    );
}

/// That a restarted daemon first takes its word back, and then gives it anew.
fn revives(clock: &Clock) {
    let writes = clock.calm_status().counters.writes;
    assert!(
        eventually(|| {
            let _ = clock.calm_now();
            clock.calm_status().state == ClockState::Holdover
        }),
        "chronyd did not take back what the one before it had said: {:?}",
        clock.calm_status()
    );
    assert!(eventually(
        || clock.calm_now().is_ok() && clock.calm_status().counters.writes > writes
    ));
    synchronised_or_suspicious(&clock.calm_status());
}

/// chronyd leaves the flag over an honest bound: the error says so, and there is a switch.
pub(crate) fn without_rtcsync() {
    kernel::reset(START);
    let truth = Truth::from_now(5 * MS, OSCILLATOR_PPB);
    let _server = Server::start(truth, MS);
    let strict = clock();
    let lenient = Clock::builder().accept_unsync_flag();
    let lenient = lenient.build().expect("the clocks are there");
    let readers = Readers::start(truth, &[("strict", &strict), ("lenient", &lenient)]);
    let mut daemon = start(false);
    let settled = lenient.wait_until_synchronized(Duration::from_secs(60));
    assert!(settled.is_ok(), "{settled:?}");
    run_for(&mut daemon, 5_000);
    let error = strict.calm_now().expect_err("the flag is set");
    assert!(
        matches!(error, ClockError::Unvouched(Refusal::UnsyncFlag { .. })),
        "{error:?}"
    );
    println!("strict: {error}");
    let text = error.to_string();
    assert!(
        text.contains("rtcsync") && text.contains("accept_unsync_flag"),
        "{text}"
    );
    synchronised_or_suspicious(&lenient.calm_status());
    let scores = readers.stop();
    assert_eq!(scores[0].intervals, 0);
    scores[1].assert_kept(&EXPECTED);
}

/// How far another program sets the clock, which chronyd does not notice but by its samples.
const FOREIGN_STEP: i64 = 400 * MS;

/// After that long updates that agree count by themselves (120 s), with two polls of 4 s to spare and
/// what a busy machine takes.
const SETTLED_WITHIN: i64 = 140_000;

/// Another program sets the clock under a running chronyd. Nothing tells which of the two is wrong, so there
/// is no interval until it is settled, and none is false; nor is one of a clock that is built right after,
/// unless chronyd's own bound is.
pub(crate) fn foreign_step() {
    let Disciplined {
        truth,
        server: _server,
        clock,
        start_raw,
        observer,
        readers,
        mut daemon,
    } = Disciplined::start(|_| {});
    run_for(&mut daemon, 25_000);
    let widest = clock.calm_now().expect("an interval").epsilon();
    assert!(widest < Duration::from_millis(100), "{widest:?}");

    let stepped = raw_now();
    kernel::step(FOREIGN_STEP, None);
    let fresh = self::clock();
    let of_the_new = Readers::at_leisure(truth, &[("new after the step", &fresh)]);
    let away = |error: &ClockError| {
        matches!(
            error,
            ClockError::Disturbed {
                cause: Disturbance::SteppedAway { .. }
            }
        )
    };
    assert!(
        eventually(|| clock.calm_now().is_err_and(|error| away(&error))),
        "{:?}",
        clock.calm_now()
    );
    println!("after the step: {:?}", clock.calm_now());
    let settled = answers_within(&mut daemon, &clock, stepped);
    let anew = answers_within(&mut daemon, &fresh, stepped);
    println!("an interval again after {settled} ms, of the new clock after {anew} ms");
    // What chronyd has yet to learn of the step shows now.
    run_for(&mut daemon, 30_000);
    assert!(clock.calm_now().is_ok(), "{:?}", clock.calm_status());

    let observed = observer.stop();
    daemon.end(libc::SIGTERM);
    let scores = [readers.stop(), of_the_new.stop()].concat();
    observed.tell(start_raw);
    assert_eq!(clock.calm_status().counters.steps, 1);
    for score in &scores {
        score.assert_answered(&["Unvouched", "TooWide", "Disturbed"]);
    }
    // The running clock knows of the step, and whatever chronyd writes proves nothing by itself.
    scores[0].assert_kept(&["Unvouched", "TooWide", "Disturbed"]);
    // The new one has chronyd's word alone, which on a starved machine has been a false one.
    strained(&observed, &scores[1], 0, stepped);
    assert!(scores[0].errors.contains_key("Disturbed"), "{scores:?}");
}

/// Waits for an interval; returns how many ms after `since` it was there.
fn answers_within(daemon: &mut Daemon, clock: &Clock, since: i64) -> i64 {
    loop {
        let passed = (raw_now() - since) / MS;
        if clock.calm_now().is_ok() {
            return passed;
        }
        assert!(passed < SETTLED_WITHIN, "{:?}", clock.calm_status());
        run_for(daemon, 100);
    }
}

/// The end of the last day of 2016, which had a second more.
const LEAP_BOUNDARY: i64 = 17_167 * DAY;

/// Long enough for chronyd to be sure of its clock before.
const BEFORE_THE_LEAP: i64 = 40 * SECOND;

/// chronyd uses no samples within five seconds of a leap second, and then asks every 2 to 4 s.
const AFTER_THE_LEAP: i64 = 30_000;

/// chronyd knows of a leap second by `leapsectz` and inserts it by a step of its own, of which neither
/// the kernel nor any source of the clock tells.
pub(crate) fn leap_step() {
    kernel::reset(LEAP_BOUNDARY - BEFORE_THE_LEAP);
    let boundary = Timestamp::from_unix_nanos(LEAP_BOUNDARY);
    let kind = LeapKind::Inserted;
    let truth = Truth::from_now(3 * MS, OSCILLATOR_PPB).with_leap(LeapSecond { boundary, kind });
    let _server = Server::start(truth, MS);
    let clock = clock();
    let start_raw = raw_now();
    let observer = Observer::start(truth);
    let readers = Readers::at_leisure(truth, &[("over the leap second", &clock)]);
    let mut daemon = start_with("rtcsync\nmakestep 0.1 3\nleapsecmode step\nleapsectz right/UTC");
    let settled = clock.wait_until_synchronized(Duration::from_secs(25));
    if settled.is_err() && truth.now() > LEAP_BOUNDARY - 5 * SECOND {
        starved("the leap second came before chronyd had synchronised");
    }
    assert!(settled.is_ok(), "{settled:?}");
    while truth.now() < LEAP_BOUNDARY - 2 * SECOND {
        run_for(&mut daemon, 100);
    }
    assert!(clock.calm_now().is_ok(), "{:?}", clock.calm_status());
    let said = clock.ntp_status().expect("adjtimex");
    let told = NtpStatus::STA_INS | NtpStatus::STA_DEL;
    assert_eq!(said.status & told, 0, "the kernel was told: {said:?}");

    // Real time less raw time falls by a second when chronyd steps; both run within 0.1 % otherwise.
    let offset = || crate::host::real_nanos() - raw_now();
    let before = offset();
    let not_yet = || {
        let lateness = truth.counted_at(raw_now()) - LEAP_BOUNDARY;
        assert!(lateness < SECOND / 2, "chronyd does not step");
        (offset() - before).abs() < SECOND / 2
    };
    while not_yet() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let stepped = raw_now();
    let late = (truth.counted_at(stepped) - LEAP_BOUNDARY) / 1_000;
    println!("chronyd has stepped, {late} µs late");
    let unexplained = ClockError::Disturbed {
        cause: Disturbance::UnexplainedSecond,
    };
    assert!(
        eventually(|| clock.calm_now() == Err(unexplained)),
        "{:?}",
        clock.calm_now()
    );
    let again = answers_within(&mut daemon, &clock, stepped);
    println!("an interval again {again} ms after the leap second");
    assert!(again < AFTER_THE_LEAP, "{again} ms");
    run_for(&mut daemon, 15_000);
    assert!(clock.calm_now().is_ok(), "{:?}", clock.calm_status());

    let observed = observer.stop();
    daemon.end(libc::SIGTERM);
    let scores = readers.stop();
    observed.tell(start_raw);
    let mut score = scores[0].clone();
    // Before chronyd has made the leap second nothing on the machine tells of it (A5).
    let unknowable = |miss: &Miss| miss.from <= stepped && truth.at(miss.to) >= LEAP_BOUNDARY;
    let excused = score.misses.iter().filter(|miss| unknowable(miss)).count();
    println!("{excused} readings were false in the moment before chronyd's step");
    if excused > 0 && excused == score.misses.len() && score.fallen_back == 0 {
        score.false_ones.clear();
    }
    score.assert_kept(&["Unvouched", "TooWide", "Disturbed"]);
    assert!(score.errors.contains_key("Disturbed"), "{score:?}");
}
