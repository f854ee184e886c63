//! How much stack a reading takes on its deepest path, so that a signal handler may make it.
//!
//! A handler runs on an alternate stack filled with a pattern; the lowest byte that lost it tells how deep
//! the handler went. What the kernel and an empty handler take of it is left out: on processors with
//! wide registers the signal's own frame alone is some 3 KB.
#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed; signal stacks are reached through libc alone"
)]

use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::{ChronySource, KernelSource};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockError, HybridClock};

/// What a reading may take. A build without optimization keeps every temporary in its frame, and no
/// handler is promised anything about it.
const LIMIT: usize = if cfg!(debug_assertions) {
    32 * 1024
} else {
    4 * 1024
};

const STACK: usize = 1 << 20;
const PATTERN: u8 = 0xA5;

type Call<'a> = &'a mut dyn FnMut();

/// What the handler is to do: a [`Call`] that outlives the signal.
static CALL: AtomicPtr<Call<'_>> = AtomicPtr::new(core::ptr::null_mut());

extern "C" fn handle(_signal: libc::c_int) {
    // SAFETY: `deepest` stored a pointer to a live call, which nothing else uses until this returns.
    let call = unsafe { &mut *CALL.load(Ordering::SeqCst) };
    call();
}

/// How many bytes of its stack a handler used that made this call.
fn deepest(mut call: impl FnMut()) -> usize {
    let mut stack = vec![PATTERN; STACK];
    let mut call: Call<'_> = &mut call;
    CALL.store((&raw mut call).cast(), Ordering::SeqCst);
    let on = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: STACK,
    };
    let off = libc::stack_t {
        ss_sp: core::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    let mut former = off;
    // SAFETY: the stack lives until it is taken off again below; the old one is written to a live place.
    assert_eq!(unsafe { libc::sigaltstack(&on, &mut former) }, 0);
    // SAFETY: raises a signal in this thread, whose handler was installed by `install`.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    // SAFETY: the handler has returned; the old stack is put back.
    let restored = unsafe { libc::sigaltstack(&former, core::ptr::null_mut()) };
    assert_eq!(restored, 0);
    let untouched = stack.iter().take_while(|byte| **byte == PATTERN).count();
    STACK - untouched
}

fn install() {
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: the handler is a function of the right type; there is no old action to write.
    let installed = unsafe { libc::sigaction(libc::SIGUSR1, &action, core::ptr::null_mut()) };
    assert_eq!(installed, 0);
}

/// What is measured, and what came out.
struct Depths {
    idle: usize,
    seen: Vec<(String, usize)>,
}

impl Depths {
    /// Measures the four calls that a handler may make, each on the path that `arrange` prepares.
    fn measure(&mut self, path: &str, clock: &Clock, mut arrange: impl FnMut()) {
        let hybrid = HybridClock::new(clock.clone());
        let calls: [(&str, &dyn Fn()); 4] = [
            ("now", &|| _ = core::hint::black_box(clock.now())),
            ("read", &|| _ = core::hint::black_box(clock.read())),
            ("tick", &|| _ = core::hint::black_box(hybrid.tick())),
            ("begin_commit", &|| {
                drop(core::hint::black_box(clock.begin_commit()));
            }),
        ];
        for (name, call) in calls {
            arrange();
            let depth = deepest(call).saturating_sub(self.idle);
            self.seen.push((format!("{name}, {path}"), depth));
        }
    }

    fn judge(mut self) {
        self.seen.sort_by_key(|(_, depth)| *depth);
        for (path, depth) in &self.seen {
            eprintln!("{depth:6} bytes: {path}");
        }
        let (path, depth) = self.seen.last().unwrap();
        assert!(*depth <= LIMIT, "{path} takes {depth} bytes of stack");
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The paths of the machine itself, with its system calls.
fn of_this_machine(depths: &mut Depths) {
    for assumed in [true, false] {
        let builder = Clock::builder()
            .source(KernelSource::new())
            .source(ChronySource::new());
        let builder = if assumed {
            builder.assume_error(ms(5))
        } else {
            builder
        };
        let clock = builder.build().unwrap();
        let of = if assumed { "assumed" } else { "not assumed" };
        let measured = clock.clone();
        depths.measure(&format!("{of}, calm"), &clock, || {
            let _ = measured.now();
        });
        depths.measure(&format!("{of}, guard"), &clock, || {
            std::thread::sleep(ms(15));
        });
        depths.measure(&format!("{of}, look"), &clock, || {
            std::thread::sleep(ms(260));
        });
    }
}

/// A scripted machine with a daemon that wrote several times, so that the clock has learned its rate.
fn taught() -> (ScriptedMachine, Clock) {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.builder().build().unwrap();
    for write in 0..20 {
        machine.advance(Duration::from_secs(70));
        machine.write_maxerror(700 + write);
        assert!(clock.now().is_ok());
    }
    (machine, clock)
}

/// Every disturbance, each at the reading that finds it.
fn of_disturbances(depths: &mut Depths) {
    let (machine, clock) = taught();
    let mut writes = 0;
    // Never what the kernel's own growth would have come to.
    let mut write = |machine: &ScriptedMachine| {
        writes += 1;
        machine.advance(ms(260));
        machine.write_maxerror(700 + 13 * (writes % 20));
    };
    depths.measure("a write", &clock, || write(&machine));
    depths.measure("a suspend", &clock, || {
        let _ = clock.look();
        write(&machine);
        let written = clock.look();
        assert!(written.is_ok(), "{written:?}");
        machine.suspend(Duration::from_secs(5));
    });
    let (machine, clock) = taught();
    depths.measure("a step", &clock, || {
        machine.step(epsilon_clock::TimeDelta::from_nanos(3_000_000));
        machine.advance(ms(20));
    });
}

/// Every error that a reading can find.
fn of_errors(depths: &mut Depths) {
    let (machine, clock) = taught();
    let settle = |clock: &Clock, wanted: fn(&ClockError) -> bool| {
        for _ in 0..2 {
            let error = clock.now().unwrap_err();
            assert!(wanted(&error), "{error:?}");
        }
    };
    machine.edit_status(|status| status.maxerror = NtpStatus::MAXERROR_CAP);
    machine.advance(Duration::from_secs(3_700));
    depths.measure("too old", &clock, || {
        settle(&clock, |error| matches!(error, ClockError::TooOld { .. }));
    });
    machine.suspend(Duration::from_secs(1));
    depths.measure("unvouched", &clock, || {
        settle(&clock, |error| matches!(error, ClockError::Unvouched(_)));
    });
    let wide = ScriptedMachine::default();
    wide.write_maxerror(90_000);
    let clock = wide.builder().max_error(ms(50)).build().unwrap();
    depths.measure("too wide", &clock, || {
        settle(&clock, |error| {
            matches!(error, ClockError::TooWide { .. } | ClockError::Unvouched(_))
        });
    });
    let assumed = ScriptedMachine::default();
    let clock = assumed.builder().assume_error(ms(5)).build().unwrap();
    assumed.suspend(Duration::from_secs(1));
    depths.measure("assumption broken", &clock, || {
        settle(&clock, |error| {
            matches!(error, ClockError::AssumptionBroken { .. })
        });
    });
    let (machine, clock) = taught();
    machine.advance(Duration::from_secs(70));
    machine.set_slew_ppb(20_000_000);
    for _ in 0..4 {
        machine.advance(ms(250));
        let _ = clock.look();
    }
    machine.set_slew_ppb(0);
    machine.advance(Duration::from_secs(1));
    let _ = clock.look();
    machine.write_maxerror(3);
    let _ = clock.look();
    depths.measure("contradicted", &clock, || {
        settle(&clock, |error| {
            matches!(error, ClockError::Contradicted { .. })
        });
    });
}

/// A step out of the interval, and the write that vindicates what was known before.
fn of_open_steps(depths: &mut Depths) {
    let (machine, clock) = taught();
    depths.measure("stepped away", &clock, || {
        machine.set_date(epsilon_clock::TimeDelta::from_nanos(300_000_000));
        machine.advance(ms(20));
        let error = clock.now().unwrap_err();
        assert!(matches!(error, ClockError::Disturbed { .. }), "{error:?}");
    });
    depths.measure("a write under an open step", &clock, || {
        machine.write_bound(310_003, 7);
        machine.advance(ms(260));
    });
}

#[test]
fn a_reading_fits_a_signal_stack_on_every_path() {
    install();
    let idle = deepest(|| {});
    let mut depths = Depths {
        idle,
        seen: Vec::new(),
    };
    of_this_machine(&mut depths);
    of_disturbances(&mut depths);
    of_errors(&mut depths);
    of_open_steps(&mut depths);
    depths.judge();
}
