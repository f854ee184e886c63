//! What the `doctor` example prescribes, for machines with every ailment.

use std::time::Duration;

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::testing::ScriptedMachine;

#[allow(dead_code, reason = "its `main` and its arguments are not called here")]
#[path = "../../examples/doctor.rs"]
mod doctor;

use doctor::{Facts, Seen, page};

fn with(daemons: &[&str]) -> Facts {
    Facts {
        daemons: daemons.iter().map(|&name| name.to_owned()).collect(),
        clocksource: Some("tsc".to_owned()),
        ..Facts::default()
    }
}

/// The page about a machine on which this happened.
fn about(facts: &Facts, happened: impl FnOnce(&ScriptedMachine)) -> String {
    let machine = ScriptedMachine::default();
    happened(&machine);
    let clock = machine.clock().unwrap();
    let page = page(facts, &Seen::of(&clock, Duration::ZERO));
    // Everything is told, on one page that fits a terminal.
    for title in [
        "Who disciplines",
        "Whether to trust",
        "What epsilon",
        "What to change",
    ] {
        assert!(page.contains(title), "{page}");
    }
    assert!(page.lines().count() < 40, "{page}");
    assert!(
        page.lines().all(|line| line.chars().count() <= 100),
        "{page}"
    );
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_machine_in_good_health_is_left_alone() {
    let page = about(&with(&["chronyd"]), |machine| machine.write_maxerror(1_003));
    assert!(page.contains("Running: chronyd."), "{page}");
    assert!(page.contains("maximum error 1003 µs"), "{page}");
    assert!(page.contains("trust it Yes."), "{page}");
    assert!(
        page.contains("reported 1.1 ms") && page.contains("margin 200 µs"),
        "{page}"
    );
    assert!(page.contains("13 ms at 64 s, 205 ms at 1024 s"), "{page}");
    assert!(page.ends_with("What to change Nothing."), "{page}");
}

#[test]
fn a_machine_that_nobody_synchronises_needs_chrony_where_its_clock_is() {
    let alone = about(&with(&[]), |_| {});
    assert!(alone.contains("No time daemon is to be seen."), "{alone}");
    assert!(
        alone.contains("trust it No.") && alone.contains("1. Install chrony"),
        "{alone}"
    );
    let inside = Facts {
        container: true,
        ..with(&[])
    };
    let inside = about(&inside, |_| {});
    assert!(
        inside.contains("1. Run chronyd with `rtcsync` on the host"),
        "{inside}"
    );
    let mute = about(&with(&["chronyd"]), |_| {});
    assert!(
        mute.contains("1. See why the daemon does not vouch"),
        "{mute}"
    );
}

#[test]
fn each_refusal_has_its_remedy() {
    let flagged = about(&with(&["chronyd"]), |machine| {
        machine.write_maxerror(1_003);
        machine.edit_status(|status| {
            status.status |= NtpStatus::STA_UNSYNC;
            status.state = NtpStatus::TIME_ERROR;
        });
    });
    assert!(flagged.contains("1. Add `rtcsync`"), "{flagged}");
    let liar = about(&with(&["systemd-timesyn"]), |machine| {
        machine.edit_status(|status| {
            (status.maxerror, status.esterror) = (0, 0);
            (status.state, status.status) = (0, NtpStatus::STA_PLL | NtpStatus::STA_NANO);
        });
    });
    assert!(
        liar.contains("1. Replace systemd-timesyncd by chrony"),
        "{liar}"
    );
    let barred = about(&with(&["chronyd"]), |machine| {
        machine.refuse(NtpStatusError::Unsupported);
    });
    assert!(
        barred.contains("The kernel does not tell: this platform has no adjtimex"),
        "{barred}"
    );
    assert!(
        barred.contains("1. Let the process call adjtimex"),
        "{barred}"
    );
}

#[test]
fn what_works_can_be_better() {
    let wide = about(&with(&["chronyd"]), |machine| {
        machine.write_maxerror(25_003);
    });
    assert!(
        wide.contains("trust it Yes.") && wide.contains("1. ±26 ms is much"),
        "{wide}"
    );
    let two = about(&with(&["chronyd", "ntpd"]), |machine| {
        machine.write_maxerror(1_003);
    });
    assert!(two.contains("1. Run one daemon: chronyd and ntpd"), "{two}");
    let ptp = about(&with(&["phc2sys", "ptp4l"]), |machine| {
        machine.write_maxerror(1_003);
    });
    assert!(!ptp.contains("Run one daemon"), "{ptp}");
    let slow = Facts {
        clocksource: Some("hpet".to_owned()),
        ..with(&["chronyd"])
    };
    let slow = about(&slow, |machine| machine.write_maxerror(1_003));
    assert!(slow.contains("1. The clock source hpet"), "{slow}");
    let off = about(&with(&["chronyd"]), |machine| {
        machine.write_maxerror(1_003);
        machine.edit_status(|status| status.freq = -150 << 16);
    });
    assert!(off.contains("corrected by −150.0 ppm"), "{off}");
    assert!(
        off.contains("1. The oscillator is off by about 150 ppm"),
        "{off}"
    );
    let hardware = Facts {
        hardware_clocks: vec!["/dev/ptp0 (KVM virtual PTP)".to_owned()],
        ..with(&["chronyd"])
    };
    let hardware = about(&hardware, |machine| machine.write_maxerror(1_003));
    assert!(
        hardware.contains("1. For a tighter bound") && hardware.contains("KVM"),
        "{hardware}"
    );
}
