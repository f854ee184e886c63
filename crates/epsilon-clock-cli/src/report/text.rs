//! The report as a person reads it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use epsilon_clock::source::Refusal;
use epsilon_clock::time::{LearnedRate, RateBounds};
use epsilon_clock::{ClockError, ClockState, ErrorBound};

use super::Report;
use super::kernel::{error_in_words, flags_in_words, state_in_words};
use crate::ntp;
use crate::terminal::wrapped;
use crate::units::{age, nanos, rounded};

impl Report {
    /// Writes it for a person, no line wider than `width` if its words allow.
    ///
    /// # Errors
    ///
    /// Fails only where the writer does.
    pub fn text(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        writeln!(out, "{}\n", self.reading())?;
        let status = &self.status;
        if let Ok(interval) = status.interval {
            writeln!(out, "earliest  {}", interval.earliest())?;
            writeln!(out, "latest    {}", interval.latest())?;
            writeln!(out, "epsilon   {:?}", interval.epsilon())?;
        }
        writeln!(out, "state     {}", self.state_in_words())?;
        if let (Some(claimed), Some(left)) = (status.age, status.refuses_in) {
            let (claimed, left) = (age(claimed), age(left));
            writeln!(
                out,
                "claim     {claimed} old, good for {left} if no other comes"
            )?;
        }
        if let Some(rate) = status.rate {
            write_rate(out, rate, status.learned)?;
        }
        if let Some(bound) = status.bound {
            write_bound(out, &bound)?;
        }
        self.sources_text(out, width)?;
        if let Err(error) = status.interval {
            self.write_kernel(out)?;
            writeln!(out, "\nWhy there is no interval")?;
            writeln!(out, "{}", wrapped(&error.to_string(), "  ", "  ", width))?;
            write_ways_out(out, &error, width)?;
        }
        Ok(())
    }

    /// Returns what each source says on a page of its own, where no refusal is told but there.
    pub(crate) fn sources_alone(&self, width: usize) -> String {
        let mut page = String::new();
        for source in &self.sources {
            let vouches = match (source.interval, source.refusal, source.serves) {
                (Some(_), None, true) => "vouches, and serves",
                (Some(_), None, false) => "vouches; a narrower one serves",
                (Some(_), Some(_), true) => "refuses now; what it said last serves",
                (Some(_), Some(_), false) => "refuses now; what it said last still counts",
                (None, _, _) => "does not vouch",
            };
            let _ = writeln!(page, "{}: {vouches}", source.name);
            let mut row = |name: &str, text: &str| {
                let name = format!("  {name:<8} ");
                let _ = writeln!(page, "{}", wrapped(text, &name, "           ", width));
            };
            if let Some(said) = source.interval {
                row("interval", &said.to_string());
            }
            if let Some(ago) = source.age {
                row("claim", &format!("{} old", age(ago)));
            }
            let terms = source.bound.iter().flat_map(ErrorBound::items);
            let terms = terms.filter(|(_, ns)| *ns > 0);
            let terms: Vec<_> = terms
                .map(|(name, ns)| format!("{name} {}", rounded(Duration::from_nanos(ns))))
                .collect();
            if !terms.is_empty() {
                row("terms", &terms.join(", "));
            }
            if let Some(why) = source.refusal {
                row("refusal", &why.to_string());
            }
        }
        let _ = writeln!(page, "vmclock: {}", self.status.vmclock);
        for (name, words) in ntp::in_words(&self.servers) {
            let name = format!("{name}: ");
            let _ = writeln!(page, "{}", wrapped(&words, &name, "  ", width));
        }
        page
    }

    /// Writes what each source says, and each NTP server.
    pub(crate) fn sources_text(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        self.write_sources(out, width)?;
        self.write_servers(out, width)
    }

    pub(crate) fn state_in_words(&self) -> String {
        let state = self.status.state;
        let source = match self.status.source {
            None => "unknown source",
            Some("ntp") => "agreement of NTP servers",
            Some(name) => name,
        };
        match state {
            ClockState::Synchronized => format!("{state}: the {source} vouches for the time"),
            ClockState::Inherited => {
                format!("{state}: the {source} vouched for the time before we looked")
            }
            ClockState::Holdover => format!("{state}: what the {source} said last is carried on"),
            ClockState::Assumed => format!("{state}: only you vouch for the time"),
            _ => format!("{state}: no source vouches for the time"),
        }
    }

    fn write_sources(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        writeln!(out, "\nSources")?;
        for source in &self.sources {
            let serves = if source.serves { "; serves" } else { "" };
            let said = match (source.interval, source.refusal) {
                (Some(said), None) => format!("{said}{serves}"),
                (Some(said), Some(why)) => format!("{said}{serves}, but: {why}"),
                // Once on a page is enough.
                (None, Some(why)) if self.is_told_below(why) => "refuses, see below".to_owned(),
                (None, Some(why)) => why.to_string(),
                (None, None) => "nothing yet".to_owned(),
            };
            let name = format!("  {:<8} ", source.name);
            writeln!(out, "{}", wrapped(&said, &name, "           ", width))?;
        }
        writeln!(out, "  {:<8} {}", "vmclock", self.status.vmclock)
    }

    /// What each NTP server said, if any was named.
    fn write_servers(&self, out: &mut impl Write, width: usize) -> io::Result<()> {
        if self.servers.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nNTP servers")?;
        for (name, words) in ntp::in_words(&self.servers) {
            let name = format!("  {name}: ");
            writeln!(out, "{}", wrapped(&words, &name, "           ", width))?;
        }
        Ok(())
    }

    fn is_told_below(&self, refusal: Refusal) -> bool {
        self.status.interval == Err(ClockError::Unvouched(refusal))
    }

    fn write_kernel(&self, out: &mut impl Write) -> io::Result<()> {
        let Some(status) = self.kernel else {
            return Ok(());
        };
        writeln!(out, "\nWhat the kernel says of its clock")?;
        let status = match status {
            Err(error) => return writeln!(out, "  {error}"),
            Ok(status) => status,
        };
        let (state, flags) = (status.state, status.status);
        let (largest, estimated) = (status.maxerror, status.esterror);
        writeln!(out, "  largest error    {}", error_in_words(largest))?;
        writeln!(out, "  estimated error  {}", error_in_words(estimated))?;
        writeln!(out, "  state            {state}: {}", state_in_words(state))?;
        let words = flags_in_words(&status);
        writeln!(out, "  flags            {flags:#06x}: {words}")
    }
}

fn write_rate(
    out: &mut impl Write,
    rate: RateBounds,
    learned: Option<LearnedRate>,
) -> io::Result<()> {
    let ppm = |ppb: i32| f64::from(ppb) / 1_000.0;
    let (lo, hi) = (ppm(rate.lo_ppb()), ppm(rate.hi_ppb()));
    write!(out, "drift     {lo:+.1} to {hi:+.1} ppm, ")?;
    match learned {
        Some(LearnedRate { claims, window, .. }) => {
            writeln!(out, "learned from {claims} writes in {}", age(window))
        }
        None => writeln!(out, "which is assumed until it is learned"),
    }
}

fn write_bound(out: &mut impl Write, bound: &ErrorBound) -> io::Result<()> {
    let total = nanos(bound.total());
    let row = |out: &mut dyn Write, name: &str, ns: u64| {
        let all = u128::from(total.max(1));
        let permille = (u128::from(ns) * 1000 + all / 2) / all;
        let (micros, rest) = (ns / 1000, ns % 1000);
        let (percent, tenth) = (permille / 10, permille % 10);
        writeln!(
            out,
            "{name:<9} {micros:>9}.{rest:03} µs {percent:>4}.{tenth} %"
        )
    };
    writeln!(out)?;
    for (name, ns) in bound.items() {
        row(out, name, ns)?;
    }
    row(out, "total", total)
}

/// Returns what would end an error.
pub(crate) fn ways_out(error: &ClockError) -> &'static [&'static str] {
    match error {
        ClockError::Unvouched(Refusal::UnsyncFlag { .. }) => &[
            "Have chrony clear the flag: add `rtcsync` to its configuration and restart it.",
            "Believe the bound all the same, if you know who wrote it: --accept-unsync-flag.",
        ],
        ClockError::Unvouched(Refusal::AwaitingWrite { .. }) | ClockError::Disturbed { .. } => &[
            "Wait until the time daemon has heard from a server again: --watch.",
            "See what it knows: `chronyc tracking` or `ntpq -p`.",
        ],
        ClockError::Unvouched(Refusal::Ntp(_)) => &[
            "Do what each server's line above asks for, and watch it: --watch.",
            "Name other servers, three or more so that one may be wrong: --ntp HOST.",
        ],
        ClockError::Unvouched(_) => &[
            "Have a time daemon vouch for the clock: run chrony with `rtcsync` in its \
             configuration, or ntpd; for a container, on its host.",
            "Ask NTP servers from here, without root and whatever the daemon says: --ntp HOST, three \
             times or more so that one may be wrong.",
            "Vouch for it yourself, if you know how wrong it can be: --assume-error 50ms.",
        ],
        _ => &[
            "Put right what is named above; then the intervals come back.",
            "See what the time daemon knows: `chronyc tracking` or `ntpq -p`.",
        ],
    }
}

fn write_ways_out(out: &mut impl Write, error: &ClockError, width: usize) -> io::Result<()> {
    let ways = ways_out(error);
    let count = if ways.len() == 3 { "Three" } else { "Two" };
    writeln!(out, "\n{count} ways out")?;
    for (number, way) in (1..).zip(ways) {
        let number = format!("  {number}. ");
        writeln!(out, "{}", wrapped(way, &number, "     ", width))?;
    }
    Ok(())
}
