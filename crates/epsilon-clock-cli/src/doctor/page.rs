//! The page: four questions and what is to be said to each.

use std::fmt::Write as _;
use std::time::Duration;

use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::Refusal;
use epsilon_clock::{ClockError, ClockState};

use super::advice::advice;
use super::facts::{Facts, Place};
use super::rates::{correction_ppb, drift_ppb};
use super::seen::Seen;
use crate::terminal::wrapped;
use crate::units::rounded;

/// Writes the page, no line wider than `width` if its words allow.
#[must_use]
pub fn page(facts: &Facts, seen: &Seen, width: usize) -> String {
    let mut out = String::new();
    for (title, lines) in sections(facts, seen) {
        let _ = writeln!(out, "{title}");
        for line in lines {
            let _ = writeln!(out, "{}", wrapped(&line, "  ", "     ", width));
        }
        let _ = writeln!(out);
    }
    out
}

/// Returns the questions, and what is to be said to each; the last one is what to change.
pub(crate) fn sections(facts: &Facts, seen: &Seen) -> Vec<(&'static str, Vec<String>)> {
    let advice = advice(facts, seen);
    let advice = if advice.is_empty() {
        vec!["Nothing.".to_owned()]
    } else {
        (1..)
            .zip(advice)
            .map(|(number, line)| format!("{number}. {line}"))
            .collect()
    };
    let mut sections = vec![
        ("Who disciplines the clock", who(facts, seen)),
        ("Whether to trust it", vec![verdict(seen)]),
    ];
    if let Some(servers) = &seen.servers {
        sections.push(("What the NTP servers say", servers.lines()));
    }
    sections.push(("What epsilon to expect", expectation(seen)));
    sections.push(("What to change", advice));
    sections
}

fn who(facts: &Facts, seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    let inside = match facts.place {
        Place::Container => {
            " among the processes of this container; the host's cannot be seen from here"
        }
        Place::MicroVm => " on this micro-VM, which has a kernel and a clock of its own",
        Place::Machine => "",
    };
    lines.push(match facts.daemons.as_slice() {
        [] => format!("No time daemon is to be seen{inside}."),
        names => format!("Running: {}.", names.join(", ")),
    });
    lines.push(match &seen.kernel {
        Some(Ok(kernel)) => kernel_in_words(kernel),
        Some(Err(error)) => format!("The kernel does not tell: {error}."),
        None => "The kernel was not asked.".to_owned(),
    });
    let mut machine = format!(
        "Clock source: {}",
        facts.clocksource.as_deref().unwrap_or("unknown")
    );
    if let Some(vendor) = &facts.guest {
        let _ = write!(machine, "; a virtual machine ({vendor})");
    }
    if !facts.hardware_clocks.is_empty() {
        let _ = write!(
            machine,
            "; clocks in hardware: {}",
            facts.hardware_clocks.join(", ")
        );
    }
    lines.push(format!("{machine}."));
    let instructions = seen.status.counter_instructions;
    let counter = instructions.map_or(String::new(), |by| format!(" (counter: {by})"));
    lines.push(format!("Readings read {}{counter}.", seen.status.path));
    lines
}

fn kernel_in_words(kernel: &NtpStatus) -> String {
    let flag = if kernel.has(NtpStatus::STA_UNSYNC) {
        "calls it unsynchronised"
    } else {
        "calls it synchronised"
    };
    let error = |us: i64| match us {
        0..NtpStatus::MAXERROR_CAP => format!("{us} µs"),
        _ => "unknown".to_owned(),
    };
    format!(
        "The kernel {flag}: maximum error {}, estimated error {}, frequency corrected by {}{}.{} ppm.",
        error(kernel.maxerror),
        error(kernel.esterror),
        if correction_ppb(kernel) < 0 {
            "−"
        } else {
            "+"
        },
        correction_ppb(kernel).unsigned_abs() / 1000,
        correction_ppb(kernel).unsigned_abs() / 100 % 10,
    )
}

fn verdict(seen: &Seen) -> String {
    let status = &seen.status;
    let source = status.source.unwrap_or("no source");
    let age = status.age.map_or("some time".to_owned(), rounded);
    let refusal = status
        .refusal
        .map_or(String::new(), |why| format!(" ({why})"));
    match (status.interval, status.state) {
        (Ok(_), ClockState::Synchronized) => {
            format!(
                "Yes. Its bound is vouched for through the {source}, {age} ago, before our eyes."
            )
        }
        (Ok(_), ClockState::Inherited) => format!(
            "Yes. The {source} had a bound when we first looked, {age} ago; its writer has not been \
             seen at work yet (--watch longer), so a little is charged for what it may have done since."
        ),
        (Ok(_), ClockState::Holdover) => format!(
            "For now. The last word about it is {age} old and carried on{refusal}; in {} there will \
             be no interval any more.",
            status.refuses_in.map_or("some time".to_owned(), rounded)
        ),
        (Ok(_), state) => format!("As far as you do: its state is {state}."),
        (Err(why @ ClockError::Unvouched(Refusal::AwaitingWrite { .. })), _) => {
            format!("Not yet. {}", sentence(&why.to_string()))
        }
        (Err(why), _) => format!("No. {}", sentence(&why.to_string())),
    }
}

fn expectation(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some((least, most)), Some(bound)) = (seen.epsilon, seen.status.bound) {
        lines.push(format!(
            "±{} to ±{} within the last {}.",
            rounded(least),
            rounded(most),
            rounded(seen.span)
        ));
        let terms = bound.items().into_iter().filter(|(_, ns)| *ns > 0);
        let terms: Vec<String> = terms
            .map(|(name, ns)| format!("{name} {}", rounded(Duration::from_nanos(ns))))
            .collect();
        lines.push(format!("Its terms now: {}.", terms.join(", ")));
    } else {
        lines.push("None until a daemon vouches for the clock.".to_owned());
    }
    let drift = drift_ppb(&seen.status);
    let growth = |poll: u64| rounded(Duration::from_nanos(drift * poll));
    let why = match seen.status.learned {
        Some(_) => "what the clock has learned of its oscillator",
        None => "max_drift, until the clock has learned of its oscillator",
    };
    lines.push(format!(
        "Between a daemon's writes it grows by {} a second ({why}): by {} at a poll of 16 s, {} at \
         64 s, {} at 1024 s. Just after a write it is what the daemon reports (half the round trip \
         to its server, and more) and some 0.3 ms.",
        growth(1),
        growth(16),
        growth(64),
        growth(1024),
    ));
    lines.push("A commit-wait takes about twice epsilon, less the work done meanwhile.".to_owned());
    lines
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars
        .next()
        .map_or(String::new(), |c| c.to_uppercase().to_string());
    format!("{first}{}.", chars.as_str())
}
