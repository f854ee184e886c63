//! What to change, the most pressing first.

use std::time::Duration;

use epsilon_clock::source::{Awaiting, Refusal};

use super::facts::{Facts, Place};
use super::rates::{MAX_DRIFT_PPM, correction_ppb};
use super::seen::Seen;
use crate::units::rounded;

/// A bound of less is as good as a daemon over a network gets without tuning.
const FINE: Duration = Duration::from_millis(10);

pub(super) fn advice(facts: &Facts, seen: &Seen) -> Vec<String> {
    let mut advice = Vec::new();
    let refusal = seen.status.refusal;
    match refusal {
        Some(Refusal::Unsynchronized { .. }) if facts.place == Place::Container => advice.push(
            "Run chronyd with `rtcsync` on the host: a container has its host's clock, and needs no \
             daemon of its own."
                .to_owned(),
        ),
        Some(Refusal::Unsynchronized { .. })
            if facts.place == Place::MicroVm && facts.daemons.is_empty() =>
        {
            advice.push(micro_vm(facts));
        }
        Some(Refusal::Unsynchronized { .. }) if facts.daemons.is_empty() => advice.push(
            "Install chrony, and have in its configuration `server … iburst maxpoll 6` for a few \
             servers nearby and `rtcsync`."
                .to_owned(),
        ),
        Some(Refusal::Unsynchronized { .. }) => advice.push(
            "See why the daemon does not vouch: `chronyc tracking` and `chronyc sources` (or `ntpq \
             -p`) tell whether it reaches its servers; chrony tells the kernel only with `rtcsync`."
                .to_owned(),
        ),
        Some(Refusal::UnsyncFlag { .. }) => advice.push(
            "Add `rtcsync` to chrony's configuration: without it the kernel keeps its flag up and the \
             bound, though there, is not believed."
                .to_owned(),
        ),
        Some(Refusal::NoBound { writer, .. }) => advice.push(format!(
            "Replace {writer} by chrony: it sets the clock, but does not tell how wrong it may be."
        )),
        Some(Refusal::Status(_)) => advice.push(
            "Let the process call adjtimex: no `ProtectClock=` in its systemd unit, no filter on \
             @clock; in containers the default seccomp profile allows it, and gVisor has none."
                .to_owned(),
        ),
        Some(Refusal::AwaitingWrite {
            because: Awaiting::Slewing { rate_ppb },
        }) => advice.push(format!(
            "Wait: the clock is being slewed by {} ppm. If that does not end, the daemon was killed in \
             the middle of it: start it again.",
            rate_ppb / 1000
        )),
        _ => {}
    }
    let unvouched = matches!(
        refusal,
        Some(Refusal::Unsynchronized { .. } | Refusal::NoBound { .. } | Refusal::Status(_))
    );
    if unvouched && seen.servers.is_none() {
        advice.push(
            "Or leave the daemon as it is, and let your program ask NTP servers itself, without root \
             (`NtpSource`): `epsilon doctor --ntp HOST` shows what comes of it."
                .to_owned(),
        );
    }
    if facts.daemons.len() > 1 && !facts.daemons.iter().any(|name| name.contains("phc2sys")) {
        let names = facts.daemons.join(" and ");
        advice.push(format!("Run one daemon: {names} pull at the same clock."));
    }
    if let Some((_, most)) = seen.epsilon.filter(|(_, most)| *most > FINE) {
        advice.push(format!(
            "±{} is much: poll more often (`maxpoll 4`, 16 s), and from servers nearby. If you know \
             the oscillator, set `max_drift_ppb` lower: all that grows is proportional to it.",
            rounded(most)
        ));
    }
    if let Some(Ok(kernel)) = &seen.kernel {
        let ppm = correction_ppb(kernel).unsigned_abs() / 1000;
        if ppm > MAX_DRIFT_PPM / 2 {
            advice.push(format!(
                "The oscillator is off by about {ppm} ppm, close to or beyond what is assumed \
                 ({MAX_DRIFT_PPM} ppm): raise `max_drift_ppb`, or have the machine looked at."
            ));
        }
    }
    let slow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"];
    let source = facts.clocksource.as_deref();
    if let Some(source) = source.filter(|source| slow.contains(source)) {
        advice.push(format!(
            "The clock source {source} makes every reading a system call: see in the kernel's log \
                 why it does not use the processor's counter."
        ));
    }
    if !facts.hardware_clocks.is_empty() && !facts.daemons.is_empty() {
        advice.push(format!(
            "For a tighter bound give chrony the clock in hardware as a reference, `refclock PHC \
             /dev/ptp0 poll 2`, if it follows UTC: {}.",
            facts.hardware_clocks.join(", ")
        ));
    }
    advice
}

fn micro_vm(facts: &Facts) -> String {
    // It was started from an image without a daemon, and no host disciplines its clock.
    let mut advice =
        "Run chronyd with `rtcsync` in this micro-VM itself: it comes of a container's \
         image, but its kernel keeps a clock of its own, which no daemon on the host disciplines."
            .to_owned();
    if facts.hardware_clocks.is_empty() {
        advice.push_str(
            " If the hypervisor passes its clock on (`modprobe ptp_kvm` makes /dev/ptp0 of it), \
             `refclock PHC /dev/ptp0 poll 2` needs no network.",
        );
    }
    advice
}
