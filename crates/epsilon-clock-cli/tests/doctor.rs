//! What `epsilon doctor` prescribes, for machines with every ailment, and how it is run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has to fail"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::testing::ScriptedMachine;

use epsilon_clock_cli::doctor::{Facts, Place, Seen, page};

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
    let page = page(facts, &Seen::of(&clock, Duration::ZERO), 100);
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
        place: Place::Container,
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
fn a_micro_vm_has_a_clock_of_its_own_to_discipline() {
    let bare = Facts {
        place: Place::MicroVm,
        ..with(&[])
    };
    let page = about(&bare, |_| {});
    assert!(
        page.contains("No time daemon is to be seen on this micro-VM"),
        "{page}"
    );
    assert!(
        page.contains("1. Run chronyd with `rtcsync` in this micro-VM itself")
            && page.contains("ptp_kvm"),
        "{page}"
    );
    assert!(!page.contains("on the host:"), "{page}");
    let equipped = Facts {
        hardware_clocks: vec!["/dev/ptp0 (KVM virtual PTP)".to_owned()],
        ..bare.clone()
    };
    assert!(!about(&equipped, |_| {}).contains("modprobe"));
    let mute = Facts {
        daemons: vec!["chronyd".to_owned()],
        ..bare
    };
    let mute = about(&mute, |_| {});
    assert!(
        mute.contains("1. See why the daemon does not vouch"),
        "{mute}"
    );
}

/// A tree of files in place of `/`, gone when this is dropped.
struct Root(std::path::PathBuf);

impl Root {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(root)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_kernel_thread_in_sight_tells_a_micro_vm_from_a_container() {
    let image = (".dockerenv", "");
    let kernel = ("proc/2/comm", "kthreadd\n");
    let process = ("proc/2/comm", "chronyd\n");
    for (name, files, place) in [
        ("micro-vm", &[image, kernel][..], Place::MicroVm),
        ("container", &[image, process], Place::Container),
        ("lone", &[image], Place::Container),
        (
            "podman",
            &[("run/.containerenv", ""), process],
            Place::Container,
        ),
        ("machine", &[kernel], Place::Machine),
    ] {
        let root = Root::with(name, files);
        assert_eq!(Facts::gather(&root.0).place, place, "{name}");
    }
    let root = Root::with(
        "whole",
        &[
            process,
            ("proc/7/comm", "bash\n"),
            ("proc/cpuinfo", "flags : fpu hypervisor\n"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("sys/class/ptp/ptp0/clock_name", "KVM virtual PTP\n"),
        ],
    );
    let facts = Facts::gather(&root.0);
    assert_eq!(facts.daemons, ["chronyd"]);
    assert_eq!(facts.guest.as_deref(), Some("QEMU"));
    assert_eq!(facts.hardware_clocks, ["/dev/ptp0 (KVM virtual PTP)"]);
}

fn epsilon(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon"));
    command.arg("doctor").args(arguments).env("COLUMNS", "72");
    command.output().unwrap()
}

#[test]
fn the_command_prints_the_page_within_the_terminal() {
    let output = epsilon(&["--watch", "0"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{page}");
    assert!(page.contains("What to change"), "{page}");
    assert!(
        page.lines().all(|line| line.chars().count() <= 72),
        "{page}"
    );
    let help = epsilon(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for option in ["--watch", "--ntp", "--accept-local", "--strict", "--help"] {
        assert!(String::from_utf8_lossy(&help.stdout).contains(option));
    }
    let strict = epsilon(&["--watch=0", "--strict"]);
    let trusted = String::from_utf8_lossy(&strict.stdout).contains("±");
    assert!(matches!(
        (strict.status.code(), trusted),
        (Some(2), false) | (Some(0), true)
    ));
}

#[test]
fn bad_arguments_are_one_line_and_exit_64() {
    for bad in [
        &["--watch"][..],
        &["--watch", "-1"],
        &["--watch", "3601"],
        &["--watch", "1.5"],
        &["--strict=yes"],
        &["--json"],
        &["stray"],
    ] {
        let output = epsilon(bad);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{bad:?}");
        assert_eq!(complaint.lines().count(), 1, "{bad:?}: {complaint}");
        assert!(complaint.starts_with("epsilon doctor: "), "{complaint}");
        assert!(output.stdout.is_empty(), "{bad:?}");
    }
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
