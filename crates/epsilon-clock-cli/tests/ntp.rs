//! `epsilon now --ntp` and `epsilon doctor --ntp` against servers of the test's own on loopback.
//!
//! They serve this machine's real time, shifted where one is to lie; so that is the truth here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;

mod ntp_server;

use ntp_server::{HONEST, Manner, server};

fn epsilon(arguments: &[&str], servers: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epsilon"));
    command.args(arguments).env("COLUMNS", "100");
    for server in servers {
        command.args(["--ntp", server]);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn flat(bytes: &[u8]) -> String {
    text(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unix_nanos() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_nanos()).unwrap()
}

#[test]
fn three_servers_give_an_interval_and_the_liar_is_named() {
    let lie = Manner {
        ahead: Duration::from_millis(200),
        reference_id: [192, 0, 2, 3],
    };
    let other = Manner {
        reference_id: [192, 0, 2, 2],
        ..HONEST
    };
    let servers = [server(HONEST), server(other), server(lie)];
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let before = unix_nanos();
    let output = epsilon(&["now", "--json", "--strict"], &servers);
    let after = unix_nanos();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let end = |name: &str| report["interval"][name].as_i64().unwrap();
    assert!(
        end("earliest_ns") <= after && before <= end("latest_ns"),
        "{report}"
    );
    let states = report["ntp_servers"].as_array().unwrap().iter();
    let states: Vec<_> = states
        .map(|server| server["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["agreeing", "agreeing", "falseticker"], "{report}");
    let liar = &report["ntp_servers"][2];
    let by = liar["off_by_ns"].as_u64().unwrap();
    assert!((100_000_000..=200_000_000).contains(&by), "{report}");
    assert_eq!(liar["direction"], "ahead");
    // The kernel was not asked.
    assert!(report["kernel"].is_null(), "{report}");
    for field in ["round_trip_ns", "root_distance_ns", "stratum", "age_ns"] {
        assert!(liar[field].is_u64(), "{field}: {report}");
    }
}

#[test]
fn a_person_is_told_of_each_server_in_a_line() {
    let (one, other) = (server(HONEST), server(HONEST));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let output = epsilon(&["now"], &[&one, &other, &silent]);
    let printed = flat(&output.stdout);
    assert!(printed.contains("NTP servers"), "{printed}");
    for name in [&one, &other] {
        assert!(
            printed.contains(&format!("{name}: agrees; round trip ")),
            "{printed}"
        );
    }
    assert!(
        printed.contains("root distance 1.8 ms; stratum 2;"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("{silent}: silent: ")),
        "{printed}"
    );
}

#[test]
fn a_server_of_its_own_clock_needs_a_word() {
    let local = server(Manner {
        reference_id: [127, 127, 1, 1],
        ..HONEST
    });
    let output = epsilon(&["now", "--strict"], &[&local]);
    let printed = flat(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("serves its own clock"), "{printed}");
    let output = epsilon(&["now", "--strict", "--accept-local"], &[&local]);
    assert_eq!(output.status.code(), Some(0), "{}", flat(&output.stdout));
}

#[test]
fn the_doctor_holds_the_machine_against_them() {
    let (one, other) = (server(HONEST), server(HONEST));
    let output = epsilon(&["doctor", "--watch", "0"], &[&one, &other]);
    let page = flat(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{page}");
    assert!(page.contains("What the NTP servers say"), "{page}");
    assert!(page.contains(&format!("{one}: agrees;")), "{page}");
    // They serve this machine's real time.
    assert!(page.contains("real time lies in that"), "{page}");
    // Both name one server of theirs.
    let together = "have their time from one and the same server";
    assert!(page.contains(together), "{page}");
    let fast = server(Manner {
        ahead: Duration::from_secs(2),
        ..HONEST
    });
    let output = epsilon(&["doctor", "--watch", "0"], &[&fast]);
    let page = flat(&output.stdout);
    // Real time is, or where this machine's kernel vouches, what that says.
    let is_behind = ["is", "they are"].map(|who| format!("{who} behind that by 2 s or more"));
    assert!(is_behind.iter().any(|told| page.contains(told)), "{page}");
    assert!(!page.contains(together), "{page}");
}

#[test]
fn what_cannot_be_asked_is_one_line_and_exit_64() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (arguments, servers) in [
        (&["now"][..], &["a b"][..]),
        (&["now", "--ntp"], &[]),
        (&["now", "--accept-local"], &[]),
        (&["doctor", "--accept-local"], &[]),
        (&["doctor"], &["host:port"]),
        (&["now"], &["time.google.com", "ntp1.example.net"]),
        (&["now"], &["192.0.2.1"; 9]),
        (&["now", "--nts", "host:port"], &[]),
        (&["now", "--nts-roots", manifest], &[]),
        (&["now", "--nts-roots", "not/there.pem", "--nts", "h"], &[]),
        // Its roots are none.
        (&["now", "--nts-roots", manifest, "--nts", "192.0.2.1"], &[]),
    ] {
        let output = epsilon(arguments, servers);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// Real servers are asked in `tests/nts`, which builds TLS.
#[test]
#[cfg(not(feature = "nts"))]
fn a_build_without_nts_says_how_to_get_it() {
    for command in ["now", "doctor"] {
        let output = epsilon(&[command, "--nts", "192.0.2.1:4460"], &[]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{complaint}");
        assert!(complaint.contains("--features nts"), "{complaint}");
    }
}
