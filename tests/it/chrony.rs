//! chronyd's report as a source, against a chronyd that a test plays: over real datagrams, on a
//! machine whose clocks are set by hand.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use epsilon_clock::clock::{RefreshPolicy, SourceStatus};
use epsilon_clock::source::{
    Awaiting, ChronyRefusal, ChronySource, ChronyTransport, KernelSource, Refusal, Source,
};
use epsilon_clock::testing::{ChronyReport, ScriptedMachine};
use epsilon_clock::time::LeapKind;
use epsilon_clock::{Clock, ClockBuilder, ClockError, ClockState, Disturbance, TimeDelta};

const SECOND: Duration = Duration::from_secs(1);

/// What the chronyd of a test says, in the words of its documentation.
#[derive(Clone, Debug)]
struct Tracking {
    reference_id: u32,
    stratum: u16,
    leap: u16,
    reference_ns: i64,
    correction: f64,
    last_offset: f64,
    frequency_ppm: f64,
    residual_ppm: f64,
    skew_ppm: f64,
    root_delay: f64,
    root_dispersion: f64,
    update_interval: f64,
}

/// A float of the protocol, by way of logarithms.
fn float(value: f64) -> [u8; 4] {
    if value == 0.0 {
        return [0; 4];
    }
    let exponent = (value.abs().log2().floor() as i32 + 2).clamp(-40, 63);
    let coefficient = (value * 2_f64.powi(25 - exponent)).round() as i64;
    assert!(coefficient.abs() < 1 << 24);
    let word = ((i64::from(exponent) & 0x7f) << 25) | (coefficient & 0x01ff_ffff);
    (word as u32).to_be_bytes()
}

impl Tracking {
    fn reply(&self, request: &[u8]) -> Vec<u8> {
        let mut reply = vec![6, 2, 0, 0, 0, 33, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        reply.extend(&request[8..12]);
        reply.extend([0; 8]);
        reply.extend(self.reference_id.to_be_bytes());
        reply.extend([0; 20]);
        reply.extend(self.stratum.to_be_bytes());
        reply.extend(self.leap.to_be_bytes());
        reply.extend(self.reference_ns.div_euclid(1_000_000_000).to_be_bytes());
        reply.extend((self.reference_ns.rem_euclid(1_000_000_000) as u32).to_be_bytes());
        for figure in [
            self.correction,
            self.last_offset,
            0.0,
            self.frequency_ppm,
            self.residual_ppm,
            self.skew_ppm,
            self.root_delay,
            self.root_dispersion,
            self.update_interval,
        ] {
            reply.extend(float(figure));
        }
        reply
    }
}

/// Makes the answer to a request; `None` to be silent.
type Manner = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;

/// A chronyd that is played.
struct Chronyd {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Chronyd {
    fn new(manner: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        let manner: Arc<Mutex<Manner>> = Arc::new(Mutex::new(Box::new(manner)));
        let over = Arc::new(AtomicBool::new(false));
        let (playing, stop) = (Arc::clone(&manner), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut request = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut request) else {
                    continue;
                };
                assert_eq!(length, 104, "a request is as long as its reply");
                let reply = (playing.lock().unwrap())(&request[..length]);
                if let Some(reply) = reply {
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        Self {
            address,
            manner,
            over,
            thread: Some(thread),
        }
    }

    fn turns(&self, manner: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
        *self.manner.lock().unwrap() = Box::new(manner);
    }

    fn says(&self, tracking: &Tracking) {
        let tracking = tracking.clone();
        self.turns(move |request| Some(tracking.reply(request)));
    }

    fn falls_silent(&self) {
        self.turns(|_| None);
    }
}

impl Drop for Chronyd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A machine, its kernel's NTP status written by a daemon, and that daemon's own report.
struct Scene {
    machine: ScriptedMachine,
    chronyd: Chronyd,
    tracking: Tracking,
}

impl Scene {
    fn new() -> Self {
        let machine = ScriptedMachine::default();
        machine.write_maxerror(1_003);
        let tracking = Tracking {
            reference_id: 0x0a00_0001,
            stratum: 2,
            leap: 0,
            reference_ns: machine.true_time().unix_nanos() - 1_000_000_000,
            correction: 0.0,
            last_offset: 0.0,
            frequency_ppm: 0.0,
            residual_ppm: 0.0,
            skew_ppm: 0.1,
            root_delay: 0.000_040,
            root_dispersion: 0.000_010,
            update_interval: 4.0,
        };
        let said = tracking.clone();
        Self {
            machine,
            chronyd: Chronyd::new(move |request| Some(said.reply(request))),
            tracking,
        }
    }

    fn source(&self) -> ChronySource {
        ChronySource::new()
            .address(self.chronyd.address)
            .timeout(Duration::from_secs(2))
            .manual()
            .with_kernel_status()
    }

    fn builder(&self) -> ClockBuilder {
        self.machine.builder().source(self.source())
    }

    fn clock(&self) -> Clock {
        self.builder().build().unwrap()
    }

    fn both(&self) -> Clock {
        let builder = self.machine.builder().source(KernelSource::new());
        builder.source(self.source()).build().unwrap()
    }

    /// chronyd takes over a server's time, now.
    fn update(&mut self) {
        self.tracking.reference_ns = self.real();
        self.chronyd.says(&self.tracking);
    }

    fn real(&self) -> i64 {
        use epsilon_clock::machine::Machine;
        self.machine.sandwich().real
    }

    fn says(&mut self, change: impl FnOnce(&mut Tracking)) {
        change(&mut self.tracking);
        self.chronyd.says(&self.tracking);
    }
}

fn refusal(clock: &Clock) -> Option<ChronyRefusal> {
    let refusal = clock.sources().iter().find(|s| s.name == "chrony")?.refusal;
    match refusal? {
        Refusal::Chrony(refusal) => Some(refusal),
        _ => None,
    }
}

fn named(clock: &Clock, name: &str) -> SourceStatus {
    *clock.sources().iter().find(|s| s.name == name).unwrap()
}

#[test]
fn a_report_is_inherited_first_and_vouched_for_once_chronyd_updated() {
    let mut scene = Scene::new();
    let clock = scene.clock();
    assert!(matches!(
        clock.now(),
        Err(ClockError::Unvouched(Refusal::Chrony(
            ChronyRefusal::NoAnswer
        )))
    ));
    let now = clock.refresh().unwrap();
    assert!(now.contains(scene.machine.true_time()));
    assert_eq!(clock.read().state, ClockState::Inherited);
    let bound = clock.status().bound.unwrap();
    // What is left to correct, the dispersion and half of the delay.
    assert_eq!(bound.reported_ns / 100, 300, "{bound}");
    assert_eq!(bound.margin_ns, 200_000);

    // The same reference again is a fresher claim, and still inherited.
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    assert_eq!(clock.read().state, ClockState::Inherited);
    assert!(clock.status().age.unwrap() < Duration::from_millis(10));

    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    assert_eq!(clock.read().state, ClockState::Synchronized);
    assert_eq!(clock.status().source, Some("chrony"));
    // Looks in between find nothing new, and nothing wrong.
    clock.look().unwrap();
    assert_eq!(clock.status().counters.writes, 1);
    assert_eq!(clock.read().state, ClockState::Synchronized);
}

#[test]
fn what_is_left_to_correct_moves_the_claim_by_its_sign() {
    for (correction, millis) in [(-0.003, -3), (0.003, 3)] {
        let mut scene = Scene::new();
        scene.says(|said| said.correction = correction);
        let clock = scene.clock();
        let now = clock.refresh().unwrap();
        let reported = clock.status().bound.unwrap().reported_ns;
        assert!((30_000..30_100).contains(&reported), "{reported}");
        let moved = now.midpoint().unix_nanos() - scene.machine.real_time().unix_nanos();
        assert!((moved - millis * 1_000_000).abs() < 10_000, "{moved}");
    }
}

/// A report is a forecast: it knows nothing of how the oscillator moved since the update.
#[test]
fn a_report_is_charged_for_its_age() {
    let mut scene = Scene::new();
    scene.says(|said| said.update_interval = 64.0);
    let clock = scene.clock();
    for age in [1, 11, 41] {
        clock.refresh().unwrap();
        let wander = clock.status().bound.unwrap().wander_ns;
        // 15 ppm is 15 µs for each second since.
        assert!(
            (age * 15_000..age * 15_000 + 100).contains(&wander),
            "{age} s: {wander}"
        );
        scene
            .machine
            .advance(Duration::from_secs(if age == 1 { 10 } else { 30 }));
    }
    let fair_weather = scene.builder().report_wander_ppb(0).build().unwrap();
    fair_weather.refresh().unwrap();
    assert_eq!(fair_weather.status().bound.unwrap().wander_ns, 0);
}

/// After a step by another hand chronyd's line fits neither the samples before nor those after it.
#[test]
fn a_report_whose_samples_left_its_line_does_not_vouch() {
    let mut scene = Scene::new();
    scene.says(|said| (said.residual_ppm, said.skew_ppm) = (-1.05, 0.1));
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.says(|said| said.residual_ppm = -1.2);
    clock
        .refresh()
        .unwrap_or_else(|error| panic!("the claim of before is carried on: {error}"));
    assert_eq!(
        refusal(&clock),
        Some(ChronyRefusal::Unsettled { beyond_ppb: 1_100 })
    );
    assert!(scene.clock().refresh().is_err());
}

/// What the daemon wrote beside its bound counts three times, in a report as in a write.
#[test]
fn the_deviation_that_the_daemon_wrote_is_charged_to_its_report() {
    let scene = Scene::new();
    scene.machine.write_bound(1_003, 70);
    let clock = scene.clock();
    clock.refresh().unwrap();
    assert_eq!(clock.status().bound.unwrap().deviation_ns, 210_000);
}

/// A report does not vouch for a clock that the kernel calls unsynchronised, and a clock that may not
/// ask the kernel never makes the system call.
#[test]
fn the_kernel_is_heard_beside_a_report_only_where_it_is_asked_anyway() {
    let scene = Scene::new();
    scene.machine.set_date(TimeDelta::ZERO);
    let clock = scene.clock();
    clock.refresh().unwrap_err();
    assert_eq!(refusal(&clock), Some(ChronyRefusal::KernelUnsynchronized));

    let mut scene = Scene::new();
    let source = ChronySource::new().address(scene.chronyd.address);
    let alone = scene
        .machine
        .builder()
        .source(source.manual())
        .build()
        .unwrap();
    alone.refresh().unwrap_err();
    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.advance(SECOND);
    alone.refresh().unwrap();
    assert_eq!(scene.machine.status_reads(), 0);
}

#[test]
fn the_way_of_the_datagrams_is_charged() {
    let scene = Scene::new();
    let (machine, said) = (scene.machine.clone(), scene.tracking.clone());
    scene.chronyd.turns(move |request| {
        // Slewed as fast as it goes while chronyd thinks about it.
        machine.set_slew_ppb(-125_000_000);
        machine.advance(Duration::from_millis(800));
        machine.set_slew_ppb(0);
        Some(said.reply(request))
    });
    let clock = scene.clock();
    let now = clock.refresh().unwrap();
    let bound = clock.status().bound.unwrap();
    assert!(
        (100_000_000..101_000_000).contains(&bound.bracket_ns),
        "{bound}"
    );
    // Real time was right when chronyd spoke, and wrong by 100 ms when it was read, or the other way
    // round: what was known of it holds the truth either way.
    assert!(now.epsilon() > Duration::from_millis(100));
}

#[test]
fn reports_that_do_not_vouch_are_refused_by_name() {
    let mut scene = Scene::new();
    let clock = scene.clock();
    let real = scene.real();
    let mut refused = |change: fn(&mut Tracking, i64)| {
        let before = scene.tracking.clone();
        scene.says(|said| change(said, real));
        let answer = clock.refresh();
        assert!(
            answer.is_err(),
            "a claim from a rejected report: {answer:?}"
        );
        scene.tracking = before;
        refusal(&clock).unwrap()
    };
    assert_eq!(refused(|s, _| s.leap = 3), ChronyRefusal::Unsynchronized);
    assert_eq!(refused(|s, _| s.stratum = 0), ChronyRefusal::Unsynchronized);
    let local = refused(|s, _| s.reference_id = 0x7f7f_0101);
    assert_eq!(local, ChronyRefusal::LocalReference);
    let stale = refused(|s, real| s.reference_ns = real - 33_000_000_000);
    assert_eq!(stale, ChronyRefusal::StaleReference { age_s: 33 });
    let future = refused(|s, real| s.reference_ns = real + 5_000_000_000);
    assert!(matches!(
        future,
        ChronyRefusal::FutureReference { by_s: 4..=5 }
    ));
    assert_eq!(
        refused(|s, _| s.root_dispersion = 16.5),
        ChronyRefusal::TooWide
    );
    assert_eq!(refused(|s, _| s.correction = -17.0), ChronyRefusal::TooWide);
    assert_eq!(
        refused(|s, _| s.root_delay = -1.0),
        ChronyRefusal::Malformed
    );
    assert_eq!(
        refused(|s, _| s.root_delay = 1e18),
        ChronyRefusal::Malformed
    );
    assert_eq!(refused(|s, _| s.leap = 4), ChronyRefusal::Malformed);
    // What was refused moved the clock's course, which begins anew with a reference.
    scene.says(|s| s.reference_ns = real - 20_000_000_000);
    let _ = clock.refresh();
    // Eight intervals are not yet too many.
    scene.says(|s| s.reference_ns = real - 31_000_000_000);
    assert!(clock.refresh().is_ok());
}

#[test]
fn datagrams_that_are_no_answer_are_refused() {
    let scene = Scene::new();
    let clock = scene.clock();
    let good = scene.tracking.clone();
    type Spoil = fn(&mut Vec<u8>);
    let spoilt: [(Spoil, ChronyRefusal); 8] = [
        (|r| r[0] = 5, ChronyRefusal::Malformed),
        (|r| r[1] = 1, ChronyRefusal::Malformed),
        (|r| r[9] = 2, ChronyRefusal::Denied { status: 2 }),
        (|r| r[19] ^= 1, ChronyRefusal::Malformed),
        (|r| r.truncate(103), ChronyRefusal::Malformed),
        (|r| r.push(0), ChronyRefusal::Malformed),
        (Vec::clear, ChronyRefusal::Malformed),
        (|r| r.resize(5_000, 0xff), ChronyRefusal::Malformed),
    ];
    for (spoil, expected) in spoilt {
        let good = good.clone();
        scene.chronyd.turns(move |request| {
            let mut reply = good.reply(request);
            spoil(&mut reply);
            Some(reply)
        });
        assert!(clock.refresh().is_err());
        assert_eq!(refusal(&clock), Some(expected));
    }
}

#[test]
fn after_a_step_only_a_later_reference_counts() {
    for by in [5_000_000_000, -5_000_000_000] {
        let mut scene = Scene::new();
        let clock = scene.clock();
        scene.update();
        scene.machine.advance(SECOND);
        clock.refresh().unwrap();
        scene.machine.step(TimeDelta::from_nanos(by));
        // chronyd has noticed nothing, and goes on reporting a few microseconds, for a minute. With a
        // step back, its old reference is ahead of real time first and then behind it.
        scene.says(|said| said.update_interval = 60.0);
        for _ in 0..60 {
            scene.machine.advance(SECOND);
            if let Ok(now) = clock.refresh() {
                assert!(
                    now.contains(scene.machine.true_time()),
                    "a step of {by} ns: {now}"
                );
            }
        }
        // It does once it has asked a server. (Which also makes it correct the step.)
        scene.machine.step(TimeDelta::from_nanos(-by));
        scene.machine.advance(SECOND);
        // Being back is no evidence yet that the clock is right.
        clock.refresh().unwrap_err();
        scene.machine.advance(SECOND);
        scene.update();
        scene.machine.advance(SECOND);
        clock.refresh().unwrap();
        let age = clock.status().age.unwrap();
        assert!(
            age < Duration::from_millis(10),
            "a step of {by} ns: {age:?}"
        );
    }
}

#[test]
fn after_a_suspend_only_a_later_reference_counts() {
    let mut scene = Scene::new();
    let clock = scene.clock();
    scene.update();
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    scene.machine.suspend(Duration::from_secs(20));
    scene.says(|said| said.update_interval = 60.0);
    scene.machine.advance(SECOND);
    let cause = Disturbance::Suspended;
    assert_eq!(clock.refresh(), Err(ClockError::Disturbed { cause }));
    // Surely later, though the oscillator may drift.
    scene.machine.advance(Duration::from_millis(10));
    scene.update();
    scene.machine.advance(SECOND);
    assert!(clock.refresh().unwrap().contains(scene.machine.true_time()));
}

#[test]
fn a_clock_that_was_stepped_before_the_first_look_is_not_inherited() {
    let mut scene = Scene::new();
    scene
        .machine
        .set_date(TimeDelta::from_nanos(-3_000_000_000));
    let clock = scene.clock();
    scene.says(|said| said.reference_ns -= 4_000_000_000);
    assert!(
        clock.refresh().is_err(),
        "the kernel has forgotten its NTP state"
    );
    scene.machine.set_date(TimeDelta::from_nanos(3_000_000_000));
    scene.machine.advance(SECOND);
    clock.refresh().unwrap_err();
    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.write_maxerror(1_003);
    scene.machine.advance(SECOND);
    assert!(clock.refresh().is_ok());
}

#[test]
fn a_step_while_the_datagrams_are_under_way_spoils_the_answer() {
    let scene = Scene::new();
    let (machine, said) = (scene.machine.clone(), scene.tracking.clone());
    scene.chronyd.turns(move |request| {
        machine.step(TimeDelta::from_nanos(7_000_000));
        Some(said.reply(request))
    });
    let clock = scene.clock();
    assert!(clock.refresh().is_err());
    assert_eq!(refusal(&clock), Some(ChronyRefusal::NoAnswer));
}

#[test]
fn what_somebody_else_slews_is_charged_until_the_next_update() {
    let mut scene = Scene::new();
    scene.says(|said| said.update_interval = 60.0);
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.set_slew_ppb(150_000);
    for _ in 0..30 {
        scene.machine.advance(SECOND);
        let now = clock.refresh().unwrap();
        assert!(now.contains(scene.machine.true_time()), "{now}");
    }
    let unseen = clock.status().bound.unwrap().unseen_ns;
    assert!((4_400_000..4_600_000).contains(&unseen), "{unseen}");
    scene.machine.set_slew_ppb(0);
    scene.machine.advance(SECOND);
    // chronyd finds its clock ahead, and means to correct it.
    scene.says(|said| (said.correction, said.last_offset) = (-0.004_5, 0.004_5));
    scene.update();
    clock.refresh().unwrap();
    let unseen = clock.status().bound.unwrap().unseen_ns;
    assert!(unseen < 1_000, "{unseen}");
}

#[test]
fn what_somebody_else_slews_between_an_update_and_the_report_of_it_is_charged() {
    let mut scene = Scene::new();
    scene.says(|said| said.update_interval = 60.0);
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND / 2);
    // chronyd finds its clock 10 µs behind and corrects that; then somebody slews for a moment.
    scene.says(|said| (said.correction, said.last_offset) = (0.000_01, -0.000_01));
    scene.update();
    scene.machine.set_slew_ppb(-40_000_000);
    scene.machine.advance(Duration::from_millis(300));
    scene.machine.set_slew_ppb(0);
    for _ in 0..5 {
        let now = clock.refresh().unwrap();
        assert!(now.contains(scene.machine.true_time()), "{now}");
        let unseen = clock.status().bound.unwrap().unseen_ns;
        assert!((11_990_000..12_010_000).contains(&unseen), "{unseen}");
        scene.machine.advance(SECOND);
    }
}

#[test]
fn an_update_that_nobody_watched_is_not_vouched_for() {
    let mut scene = Scene::new();
    let clock = scene.clock();
    // Somebody slews between chronyd's update and the first report that anybody asks for.
    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.set_date(TimeDelta::from_nanos(0));
    scene.machine.set_slew_ppb(-40_000_000);
    scene.machine.advance(SECOND);
    scene.machine.set_slew_ppb(0);
    assert!(clock.refresh().is_err());
    scene.says(|said| (said.correction, said.last_offset) = (0.04, -0.04));
    scene.update();
    scene.machine.write_maxerror(1_003);
    let now = clock.refresh().unwrap();
    assert!(now.contains(scene.machine.true_time()));
    assert_eq!(clock.read().state, ClockState::Synchronized);
}

#[test]
fn chronyds_own_slews_are_not_charged() {
    let mut scene = Scene::new();
    // An oscillator that is 20 ppm slow, which chronyd knows and makes up for; and it is 2 ms behind
    // and slews at 100 ppm.
    scene.machine.set_drift_ppb(20_000);
    scene.machine.set_slew_ppb(20_000 + 100_000);
    let began = scene.real();
    let clock = scene.clock();
    for second in 0..20 {
        scene.says(|said| {
            said.update_interval = 60.0;
            said.reference_ns = began - 1_000_000_000;
            said.frequency_ppm = -20.0;
            said.correction = 0.002 - f64::from(second) * 0.000_1;
        });
        clock.refresh().unwrap();
        scene.machine.advance(SECOND);
    }
    let unseen = clock.status().bound.unwrap().unseen_ns;
    assert!(unseen < 1_000, "{unseen}");
}

#[test]
fn a_silent_chronyd_gives_way_to_the_kernel_and_takes_over_again() {
    let mut scene = Scene::new();
    let clock = scene.both();
    assert_eq!(clock.status().source, Some("kernel"));
    // A chronyd that was never there is nothing to complain about.
    assert_eq!(clock.status().refusal, None);
    assert_eq!(clock.status().counters.refusals, 0);
    clock.refresh().unwrap();
    assert_eq!(clock.status().source, Some("chrony"));

    scene.chronyd.falls_silent();
    let patience = clock.clone();
    assert_eq!(named(&patience, "chrony").refusal, None);
    for _ in 0..3 {
        scene.machine.advance(SECOND);
        clock.look().unwrap();
        assert_eq!(clock.status().source, Some("chrony"));
    }
    scene.machine.advance(4 * SECOND);
    clock.look().unwrap();
    let status = clock.status();
    assert_eq!(status.source, Some("kernel"));
    assert!(matches!(
        status.refusal,
        Some(Refusal::Chrony(ChronyRefusal::Silent {
            for_ms: 6_900..=7_100
        }))
    ));
    assert!(clock.now().unwrap().contains(scene.machine.true_time()));

    scene.update();
    clock.refresh().unwrap();
    assert_eq!(clock.status().source, Some("chrony"));
    assert_eq!(clock.status().refusal, None);
}

#[test]
fn a_restarted_chronyd_gives_way_at_once() {
    let mut scene = Scene::new();
    let clock = scene.both();
    clock.refresh().unwrap();
    scene.says(|said| said.leap = 3);
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    assert_eq!(clock.status().source, Some("kernel"));
    assert_eq!(refusal(&clock), Some(ChronyRefusal::Unsynchronized));
}

#[test]
fn the_narrower_serves_and_after_never_un_happens() {
    let mut scene = Scene::new();
    let clock = scene.both();
    let mut reached = clock.now().unwrap().earliest();
    for round in 0..40 {
        scene.machine.advance(Duration::from_millis(333));
        scene.says(|said| {
            // Now the one, now the other.
            said.root_dispersion = if round % 8 < 4 { 0.000_01 } else { 0.05 };
            said.update_interval = 1_000.0;
        });
        let now = clock.refresh().unwrap();
        assert!(now.contains(scene.machine.true_time()));
        assert!(now.earliest() >= reached);
        reached = now.earliest();
        let (kernel, chrony) = (named(&clock, "kernel"), named(&clock, "chrony"));
        let narrower = kernel.interval.unwrap().epsilon() > chrony.interval.unwrap().epsilon();
        assert_eq!(chrony.serves, narrower);
        assert_ne!(chrony.serves, kernel.serves);
    }
}

#[test]
fn sources_that_exclude_each_other_contradict_by_name_and_size() {
    let contradicted = |clock: &Clock| match clock.now() {
        Err(ClockError::Contradicted { from, by }) => {
            assert!(by > Duration::from_millis(10), "{by:?}");
            from
        }
        other => panic!("{other:?}"),
    };
    // The kernel vouches, its clock is moved by 20 ms (slowly enough to be no step), and chronyd says
    // that this is right.
    let mut scene = Scene::new();
    let clock = scene.both();
    clock.now().unwrap();
    move_by_20_ms(&scene.machine);
    scene.update();
    assert!(clock.refresh().is_err());
    assert_eq!(contradicted(&clock), "chrony");

    // chronyd vouches, and then the kernel for something else.
    let mut scene = Scene::new();
    scene.machine.set_date(TimeDelta::from_nanos(0));
    // chronyd runs with `-x`, or a report would not vouch beside an unsynchronised kernel.
    let builder = scene.machine.builder().accept_unsync_flag();
    let builder = builder.source(KernelSource::new()).source(scene.source());
    let clock = builder.build().unwrap();
    clock.refresh().unwrap_err();
    scene.update();
    clock.refresh().unwrap();
    move_by_20_ms(&scene.machine);
    // Seen, so that the slew is not charged to the write.
    clock.look().unwrap();
    scene.machine.advance(SECOND / 10);
    scene.machine.write_maxerror(1_003);
    assert!(clock.look().is_err());
    assert_eq!(contradicted(&clock), "kernel");
}

fn move_by_20_ms(machine: &ScriptedMachine) {
    machine.set_slew_ppb(20_000_000);
    machine.advance(SECOND);
    machine.set_slew_ppb(0);
}

#[test]
fn a_step_there_and_back_leaves_nothing_of_the_report_in_between() {
    let mut scene = Scene::new();
    let source = scene.source();
    let clock = scene
        .machine
        .builder()
        .source(source.clone())
        .build()
        .unwrap();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND);
    scene.update();
    clock.refresh().unwrap();
    // Asked in the middle of it, and looked at afterwards.
    scene.machine.advance(SECOND);
    scene.machine.step(TimeDelta::from_nanos(3_000_000));
    source.refresh(&scene.machine);
    scene.update();
    source.refresh(&scene.machine);
    scene.machine.step(TimeDelta::from_nanos(-3_000_000));
    let now = clock.look().unwrap();
    assert!(now.contains(scene.machine.true_time()), "{now}");
    assert!(clock.status().age.unwrap() >= SECOND);
}

#[test]
fn after_a_pause_an_update_of_before_it_does_not_count() {
    let mut scene = Scene::new();
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND);
    // An update that nobody has asked about yet.
    scene.update();
    scene.machine.pause(20 * SECOND);
    let cause = Disturbance::Disrupted;
    assert_eq!(clock.now(), Err(ClockError::Disturbed { cause }));
    for _ in 0..3 {
        assert_eq!(clock.refresh(), Err(ClockError::Disturbed { cause }));
        scene.machine.advance(SECOND);
    }
    // chronyd finds its clock behind, and steps it.
    scene.machine.step(TimeDelta::from_nanos(20_000_000_000));
    let _ = clock.refresh();
    scene.machine.advance(SECOND);
    scene.update();
    assert!(clock.refresh().unwrap().contains(scene.machine.true_time()));
}

#[test]
fn a_leap_second_that_only_chronyd_announces_is_on_the_scale() {
    for kind in [LeapKind::Inserted, LeapKind::Deleted] {
        let mut scene = Scene::new();
        let midnight = scene.machine.schedule_leap(kind);
        let minute_before = midnight.unix_nanos() - 60_000_000_000 - scene.real();
        scene
            .machine
            .advance(Duration::from_nanos(minute_before as u64));
        // Chronyd's own way of doing it (`leapsecmode step`): the kernel is told nothing.
        scene.machine.withdraw_leap();
        scene.machine.write_maxerror(1_003);
        scene.update();
        scene.says(|said| {
            said.leap = if kind == LeapKind::Inserted { 1 } else { 2 };
            said.update_interval = 30.0;
        });
        let clock = scene.both();
        for _ in 0..240 {
            scene.machine.advance(Duration::from_millis(499));
            let near = scene.real() - midnight.unix_nanos();
            if near > 5_000_000_000 {
                scene.says(|said| said.leap = 0);
            }
            if let Ok(now) = clock.refresh() {
                assert!(now.contains(scene.machine.true_time()), "{near} ns: {now}");
            }
        }
    }
}

#[test]
fn a_thread_asks_where_nobody_does_by_hand() {
    let scene = Scene::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, said) = (Arc::clone(&asked), scene.tracking.clone());
    scene.chronyd.turns(move |request| {
        log.lock().unwrap().push(Instant::now());
        Some(said.reply(request))
    });
    let source = ChronySource::new()
        .address(scene.chronyd.address)
        .interval(Duration::from_millis(20))
        .with_kernel_status();
    let clock = scene
        .machine
        .builder()
        .source(source.clone())
        .build()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let count = asked.lock().unwrap().len();
    assert!(
        (5..=26).contains(&count),
        "asked {count} times in half a second"
    );
    drop(clock);
    std::thread::sleep(Duration::from_millis(100));
    let count = asked.lock().unwrap().len();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        asked.lock().unwrap().len(),
        count,
        "the thread goes with its clock"
    );

    let manual = scene
        .machine
        .builder()
        .refresh_policy(RefreshPolicy::Manual);
    let clock = manual.source(source).build().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(asked.lock().unwrap().len(), count, "nobody asks unasked");
    clock.refresh().unwrap();
    assert_eq!(asked.lock().unwrap().len(), count + 1);
}

#[test]
fn a_chronyd_that_hangs_holds_up_no_reading() {
    let scene = Scene::new();
    scene.chronyd.falls_silent();
    let source = ChronySource::new()
        .address(scene.chronyd.address)
        .interval(Duration::from_millis(1))
        .timeout(Duration::from_millis(300));
    let builder = Clock::builder().assume_error(Duration::from_millis(50));
    let builder = builder.look_interval(Duration::from_millis(1));
    let clock = builder.source(source).build().unwrap();
    let (began, before) = (Instant::now(), clock.status().counters.looks);
    while began.elapsed() < Duration::from_millis(600) {
        clock.now().unwrap();
    }
    // If looks waited for it there would be two of them; there are some hundreds.
    let looks = clock.status().counters.looks - before;
    assert!(looks > 10, "{looks}");
}

/// A float of the protocol as a number, or what is none of a clock's.
fn number(bytes: &[u8]) -> f64 {
    let word = u32::from_be_bytes(bytes.try_into().unwrap()) as i32;
    let (exponent, coefficient) = (word >> 25, (word << 7) >> 7);
    f64::from(coefficient) * 2_f64.powi(exponent - 25)
}

fn cases() -> u32 {
    match std::env::var("EPSILON_CLOCK_LONG") {
        Ok(_) => 200_000,
        Err(_) => 400,
    }
}

/// Words that are hostile in one place or another.
fn hostile_word() -> impl Strategy<Value = [u8; 4]> {
    prop_oneof![
        any::<[u8; 4]>(),
        Just([0; 4]),
        Just([0xff; 4]),
        Just([0x7f, 0x7f, 1, 1]),
        Just([0, 0, 0, 3]),
        Just([0x7e, 0xff, 0xff, 0xff]),
        (-20.0..20.0_f64).prop_map(float),
    ]
}

/// Whatever a datagram says: a claim comes only from a report that vouches, and holds what it says.
#[test]
fn no_claim_comes_from_a_report_that_is_to_be_rejected() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases()));
    let scene = Scene::new();
    let claims = std::cell::Cell::new(0);
    let spoilt = prop::collection::vec((0..19_usize, hostile_word()), 0..3);
    let tried = runner.run(&spoilt, |spoilt| {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (kept, said, words) = (Arc::clone(&sent), scene.tracking.clone(), spoilt);
        scene.chronyd.turns(move |request| {
            let mut reply = said.reply(request);
            for (word, bytes) in &words {
                reply[28 + 4 * word..][..4].copy_from_slice(bytes);
            }
            kept.lock().unwrap().clone_from(&reply);
            Some(reply)
        });
        let clock = scene.clock();
        let Ok(now) = clock.refresh() else {
            return Ok(());
        };
        claims.set(claims.get() + 1);
        let body = &sent.lock().unwrap()[28..];
        let [correction, root_delay, root_dispersion, interval] =
            [40, 64, 68, 72].map(|at| number(&body[at..at + 4]));
        let seconds = u64::from_be_bytes(body[28..36].try_into().unwrap()) as f64;
        let age = scene.real() as f64 / 1e9 - seconds;
        let bound = correction.abs() + root_dispersion + root_delay / 2.0;
        prop_assert!(body[..4] != [0x7f, 0x7f, 1, 1] && body[24..26] != [0, 0] && body[27] < 3);
        prop_assert!(
            root_delay >= 0.0 && root_dispersion >= 0.0 && bound < 16.0,
            "{}",
            bound
        );
        prop_assert!(age <= 8.0 * interval + 1.0, "{} of {}", age, interval);
        let known = root_dispersion + root_delay / 2.0;
        let off = now.midpoint().unix_nanos() - scene.real();
        prop_assert!(now.epsilon().as_secs_f64() >= known);
        prop_assert!(
            (off as f64 / 1e9 - correction).abs() < 0.000_1,
            "{off} for {correction}"
        );
        Ok(())
    });
    tried.unwrap();
    assert!(claims.get() > cases() / 10, "{} claims", claims.get());
}

/// chronyd's reference time is on the scale of the corrected clock: with real time 0.3 s behind, that of
/// an update before the pause is later than real time at the pause. And who watched the update knows
/// nothing of the time since the pause.
#[test]
fn after_a_pause_an_update_just_before_it_does_not_count_however_far_real_time_is_off() {
    let mut scene = Scene::new();
    scene.machine.step(TimeDelta::from_nanos(-300_000_000));
    scene.says(|said| said.correction = 0.3);
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    scene.machine.advance(Duration::from_millis(500));
    // An update, 0.1 s before the pause.
    scene.tracking.reference_ns = scene.real() + 300_000_000;
    scene.says(|_| {});
    scene.machine.advance(Duration::from_millis(100));
    scene.machine.pause(Duration::from_secs(10));
    assert!(clock.now().is_err());
    for _ in 0..5 {
        scene.machine.advance(Duration::from_millis(400));
        if let Ok(now) = clock.refresh() {
            let truth = scene.machine.true_time();
            assert!(now.contains(truth), "{now} at {truth}");
        }
    }
}

/// Somebody else's slew hides between the old and the new rate, over all the time between two reports,
/// wherever in it the update was.
#[test]
fn what_somebody_else_slews_between_the_old_and_the_new_rate_is_charged() {
    let mut scene = Scene::new();
    scene.says(|said| said.update_interval = 600.0);
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.advance(SECOND);
    clock.refresh().unwrap();
    assert_eq!(clock.read().state, ClockState::Synchronized);
    // The oscillator runs 20 ppm fast from now on; chronyd sees it and makes up for it.
    scene.machine.set_drift_ppb(-20_000);
    scene.tracking.frequency_ppm = 20.0;
    scene.update();
    // Somebody else puts the frequency back: real time runs with raw time.
    scene.machine.advance(Duration::from_secs(600));
    let now = clock.refresh();
    if let Ok(now) = now {
        let truth = scene.machine.true_time();
        assert!(
            now.contains(truth),
            "{now} at {truth}: off by {:?}, {:?}",
            now.midpoint().abs_diff(truth),
            clock.status().bound
        );
    }
}

/// The kernel falls back a tick after midnight. A report asked for in that tick is one of before
/// the leap second, though its day is the next.
#[test]
fn a_report_in_the_tick_before_the_kernel_leaps_is_none_of_after_it() {
    let mut wrong = Vec::new();
    for (both, bound) in [(false, 0.000_010), (true, 0.000_010), (false, 0.004)] {
        let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
        let mut scene = Scene::new();
        scene.machine =
            ScriptedMachine::new(midnight.checked_sub(Duration::from_secs(20)).unwrap());
        scene.machine.schedule_leap(LeapKind::Inserted);
        scene.machine.announce_leap(LeapKind::Inserted);
        scene.machine.write_maxerror(1_003);
        scene.tracking.leap = 1;
        scene.tracking.root_dispersion = bound;
        scene.update();
        let clock = if both { scene.both() } else { scene.clock() };
        let wait = |until_ms: u64| {
            let left = midnight.abs_diff(scene.machine.true_time());
            scene
                .machine
                .advance(left - Duration::from_millis(until_ms));
        };
        let _ = clock.refresh();
        wait(8_000);
        let _ = clock.refresh();
        // The clocks are disturbed, and chronyd updates 1.5 s before midnight.
        scene.machine.suspend(Duration::from_secs(2));
        assert!(clock.now().is_err());
        wait(3_500);
        let _ = clock.refresh();
        wait(1_500);
        scene.tracking.reference_ns = scene.real();
        scene.chronyd.says(&scene.tracking);
        wait(1_000);
        let _ = clock.refresh();
        scene.machine.advance(Duration::from_millis(1_001));
        assert!(scene.real() > midnight.unix_nanos());
        for step_ms in [0, 100, 300, 500, 300, 1_000, 2_000] {
            scene.machine.advance(Duration::from_millis(step_ms));
            let now = if step_ms == 0 {
                clock.refresh()
            } else {
                clock.now()
            };
            if let Ok(now) = now {
                let truth = scene.machine.true_time();
                if !now.contains(truth) {
                    wrong.push(format!("{now} at {truth} (both: {both}, bound {bound})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Of two updates between two reports only the last one's offset is told; a slew by somebody else that
/// undoes the first one is not seen.
#[test]
fn what_hides_behind_an_update_that_no_report_told_of_is_charged() {
    let mut scene = Scene::new();
    // Real time is 5 ms ahead, within what chronyd reports.
    scene.machine.step(TimeDelta::from_nanos(5_000_000));
    scene.says(|said| said.root_dispersion = 0.006);
    let clock = scene.clock();
    clock.refresh().unwrap();
    scene.machine.advance(SECOND);
    scene.update();
    scene.machine.advance(SECOND);
    let now = clock.refresh().unwrap();
    assert!(now.contains(scene.machine.true_time()));
    assert_eq!(clock.read().state, ClockState::Synchronized);
    // An update finds the 5 ms and slews them away; the next one finds nothing.
    scene.machine.set_hidden_slew_ppb(-50_000_000);
    scene.machine.advance(Duration::from_millis(100));
    scene.machine.set_hidden_slew_ppb(0);
    scene.machine.advance(Duration::from_millis(400));
    scene.tracking.root_dispersion = 0.000_010;
    scene.tracking.update_interval = 0.499;
    scene.update();
    // Somebody else slews them in again.
    scene.machine.set_hidden_slew_ppb(50_000_000);
    scene.machine.advance(Duration::from_millis(100));
    scene.machine.set_hidden_slew_ppb(0);
    scene.machine.advance(Duration::from_millis(400));
    if let Ok(now) = clock.refresh() {
        let truth = scene.machine.true_time();
        assert!(
            now.contains(truth),
            "{now} at {truth}, {:?}",
            clock.status().bound
        );
    }
}

/// Without the kernel as a source nobody ever says that a leap second has passed, and a look at chronyd's
/// report does not say that none has.
#[test]
fn a_look_at_chronyd_alone_does_not_explain_a_second() {
    let midnight: epsilon_clock::Timestamp = "2017-01-01T00:00:00.000000000Z".parse().unwrap();
    let mut wrong = Vec::new();
    for flag in [0, 1] {
        let mut scene = Scene::new();
        scene.machine =
            ScriptedMachine::new(midnight.checked_sub(Duration::from_secs(300)).unwrap());
        scene.machine.schedule_leap(LeapKind::Inserted);
        scene.machine.announce_leap(LeapKind::Inserted);
        scene.machine.write_maxerror(1_003);
        scene.tracking.update_interval = 256.0;
        scene.update();
        let clock = scene.clock();
        clock.refresh().unwrap();
        scene.machine.advance(SECOND);
        scene.update();
        scene.machine.advance(SECOND);
        clock.refresh().unwrap();
        // chronyd is told now, and nobody looks until ten seconds after the leap second.
        scene.says(|said| said.leap = flag);
        scene.machine.advance(Duration::from_secs(310));
        for _ in 0..4 {
            scene.machine.advance(Duration::from_millis(300));
            for now in [clock.now(), clock.refresh()] {
                let truth = scene.machine.true_time();
                if let Ok(now) = now
                    && !now.contains(truth)
                {
                    wrong.push(format!("{now} at {truth} (flag {flag})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A flag that was set a day early seems to be of the leap second before, in the tick before the kernel
/// falls back.
#[test]
fn near_midnight_no_report_counts_under_a_flag_however_long_it_was_set() {
    let mut scene = Scene::new();
    let day = 86_400_000_000_000;
    let first = (scene.real() / day + 1) * day;
    let until = |scene: &Scene, real: i64| {
        let left = Duration::from_nanos((real - scene.real()) as u64);
        scene.machine.advance(left);
    };
    scene.tracking.leap = 1;
    let clock = scene.clock();
    for midnight in [first, first + day] {
        until(&scene, midnight - 20_000_000_000);
        scene.update();
        scene.machine.write_maxerror(1_003);
        let _ = clock.refresh();
        for past in [-10_000_000_000, 5_000_000] {
            until(&scene, midnight + past);
            scene.update();
            scene.machine.write_maxerror(1_003);
            let _ = clock.refresh();
        }
        // At the first one the clock itself does not look.
        let because = Awaiting::LeapSecond;
        let refusal = named(&clock, "chrony").refusal;
        let expected = (midnight != first).then_some(Refusal::AwaitingWrite { because });
        assert_eq!(refusal, expected);
        // Later in the day it counts again, flag or no flag.
        for past in [10_000_000_000, 11_000_000_000, 12_000_000_000] {
            until(&scene, midnight + past);
            scene.update();
            scene.machine.write_maxerror(1_003);
            scene.machine.advance(Duration::from_millis(500));
            let _ = clock.refresh();
        }
        clock.now().unwrap();
    }
}

/// A chronyd that is there or not, without a socket.
#[derive(Clone, Debug, Default)]
struct MaybeThere(Arc<AtomicBool>);

impl ChronyTransport for MaybeThere {
    fn exchange(&self, request: &[u8], answer: &mut [u8], _: Duration) -> std::io::Result<usize> {
        if !self.0.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let datagram = ChronyReport::default().reply(request).unwrap();
        answer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

#[test]
fn a_chronyd_that_never_answered_is_asked_ever_less_often() {
    let (machine, transport) = (ScriptedMachine::default(), MaybeThere::default());
    let source = ChronySource::new().transport(transport.clone());
    let next = || source.refresh_interval().unwrap().as_secs();
    let ask = || {
        source.refresh(&machine);
        next()
    };
    assert_eq!(next(), 1);
    let intervals: Vec<u64> = (0..10).map(|_| ask()).collect();
    assert_eq!(intervals, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    transport.0.store(true, Ordering::Relaxed);
    assert_eq!(ask(), 1);
    // One that was there comes back, as a rule, and soon.
    transport.0.store(false, Ordering::Relaxed);
    assert_eq!((0..5).map(|_| ask()).max(), Some(1));
    let rare = ChronySource::new().transport(MaybeThere::default());
    let rare = rare.interval(Duration::from_secs(300));
    for _ in 0..5 {
        rare.refresh(&machine);
        assert_eq!(rare.refresh_interval(), Some(Duration::from_secs(300)));
    }
}
