//! The figures of one moment.

use std::borrow::Cow;
use std::time::Duration;

use super::family::{self, Family};
use crate::clock::{Clock, ClockState, Counters, SourceStatus, Status};
use crate::machine::NtpStatus;
use crate::source::Refusal;
use crate::source::ntp::{NtpServerState, NtpServerStatus};
use crate::time::ErrorBound;

/// A number as it was counted or measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A count, exact.
    Count(u64),
    /// A measure in the unit that ends the family's name.
    Measure(f64),
}

/// One number, and what it is called.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// What it is one of.
    pub family: &'static Family,
    /// What tells it from the others of its family: names, and their values.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The number.
    pub value: Value,
}

/// The figures of a clock at one moment, in the order of [`Family::ALL`].
///
/// What is not known now is left out: without an interval there is no `epsilon_clock_epsilon_seconds`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Reads a clock's status and sources.
    #[must_use]
    pub fn of(clock: &Clock) -> Self {
        Self::of_status(&clock.status()).with_sources(&clock.sources())
    }

    /// Takes a status apart.
    #[must_use]
    pub fn of_status(status: &Status) -> Self {
        let mut figures = Self::default();
        figures.flag(&family::AVAILABLE, [], status.interval.is_ok());
        if let Err(error) = &status.interval {
            let label = ("reason", error.as_str().into());
            figures.flag(&family::ERROR, [label], true);
        }
        for &state in ClockState::ALL {
            let label = ("state", state.as_str().into());
            figures.flag(&family::STATE, [label], state == status.state);
        }
        let epsilon = status.interval.ok().map(|interval| interval.epsilon());
        figures.span(&family::EPSILON, [], epsilon);
        for (term, ns) in status.bound.iter().flat_map(ErrorBound::items) {
            let span = Some(Duration::from_nanos(ns));
            figures.span(&family::BOUND, [("term", term.into())], span);
        }
        if let Some(source) = status.source {
            figures.flag(&family::SOURCE, [("source", source.into())], true);
        }
        figures.span(&family::CLAIM_AGE, [], status.age);
        figures.span(&family::REFUSES_IN, [], status.refuses_in);
        if let Some(refusal) = status.refusal {
            let label = ("reason", word(refusal).into());
            figures.flag(&family::REFUSAL, [label], true);
        }
        if let Some(rate) = status.rate {
            let open = f64::from(rate.hi_ppb()) - f64::from(rate.lo_ppb());
            figures.measure(&family::DRIFT, [], open / 2e9);
        }
        if let Some(learned) = status.learned {
            let ratio = |ppb: i32| f64::from(ppb) / 1e9;
            let (low, high) = (learned.bounds.lo_ppb(), learned.bounds.hi_ppb());
            figures.measure(&family::LEARNED_LOW, [], ratio(low));
            figures.measure(&family::LEARNED_HIGH, [], ratio(high));
            figures.span(&family::LEARNED_WINDOW, [], Some(learned.window));
            let claims = u64::try_from(learned.claims).unwrap_or(u64::MAX);
            figures.push(&family::LEARNED_CLAIMS, [], Value::Count(claims));
        }
        figures.count(&status.counters);
        figures
    }

    /// Adds what each source says by itself.
    #[must_use]
    pub fn with_sources(mut self, sources: &[SourceStatus]) -> Self {
        for source in sources {
            let label = || [("source", Cow::Borrowed(source.name))];
            let vouches = source.interval.is_some() && source.refusal.is_none();
            self.flag(&family::SOURCE_VOUCHES, label(), vouches);
            let epsilon = source.interval.map(|interval| interval.epsilon());
            self.span(&family::SOURCE_EPSILON, label(), epsilon);
            self.span(&family::SOURCE_AGE, label(), source.age);
        }
        self.in_order()
    }

    /// Adds what is known of each server of an [`NtpSource`](crate::source::NtpSource).
    #[must_use]
    pub fn with_servers(mut self, servers: &[NtpServerStatus]) -> Self {
        for server in servers {
            let label = || [("server", Cow::from(server.name.clone()))];
            let [name] = label();
            let state = ("state", standing(server.state).into());
            self.flag(&family::SERVER_STATE, [name, state], true);
            self.span(&family::SERVER_TRIP, label(), server.round_trip);
            self.span(&family::SERVER_DISTANCE, label(), server.root_distance);
            self.span(&family::SERVER_AGE, label(), server.age);
            if let Some(stratum) = server.stratum {
                let value = Value::Count(stratum.into());
                self.push(&family::SERVER_STRATUM, label(), value);
            }
            let losses = Value::Count(server.losses.into());
            self.push(&family::SERVER_LOSSES, label(), losses);
        }
        self.in_order()
    }

    /// Adds what the kernel says of its own clock ([`Clock::ntp_status`]).
    #[must_use]
    pub fn with_kernel(mut self, kernel: &NtpStatus) -> Self {
        for (family, us) in [
            (&family::KERNEL_MAX, kernel.maxerror),
            (&family::KERNEL_ESTIMATED, kernel.esterror),
        ] {
            let span = u64::try_from(us).ok().map(Duration::from_micros);
            self.span(family, [], span);
        }
        let unsynchronized = kernel.has(NtpStatus::STA_UNSYNC);
        self.flag(&family::KERNEL_UNSYNCHRONIZED, [], unsynchronized);
        self.in_order()
    }

    /// Returns each figure.
    pub fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    fn count(&mut self, counters: &Counters) {
        for (family, count) in [
            (&family::LOOKS, counters.looks),
            (&family::LOOKS_DROPPED, counters.looks_dropped),
            (&family::WRITES, counters.writes),
            (&family::STEPS, counters.steps),
            (&family::SUSPENDS, counters.suspends),
            (&family::CONTRADICTIONS, counters.contradictions),
            (&family::RATE_RESETS, counters.rate_resets),
            (&family::REFUSALS, counters.refusals),
        ] {
            self.push(family, [], Value::Count(count));
        }
    }

    fn flag<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, Cow<'static, str>); N],
        is: bool,
    ) {
        self.push(family, labels, Value::Count(is.into()));
    }

    fn span<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, Cow<'static, str>); N],
        span: Option<Duration>,
    ) {
        if let Some(span) = span {
            self.measure(family, labels, span.as_secs_f64());
        }
    }

    fn measure<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, Cow<'static, str>); N],
        measure: f64,
    ) {
        self.push(family, labels, Value::Measure(measure));
    }

    fn push<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, Cow<'static, str>); N],
        value: Value,
    ) {
        let labels = labels.into();
        self.0.push(Figure {
            family,
            labels,
            value,
        });
    }

    /// Prometheus' format wants all figures of one name together.
    fn in_order(mut self) -> Self {
        let place = |figure: &Figure| Family::ALL.iter().position(|one| **one == *figure.family);
        self.0.sort_by_key(place);
        self
    }
}

/// One word: a refusal's figures would make a new series each time.
const fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Chrony(refusal) => refusal.as_str(),
        Refusal::Ntp(refusal) => refusal.as_str(),
        Refusal::Phc(refusal) => refusal.as_str(),
        refusal => refusal.as_str(),
    }
}

const fn standing(state: NtpServerState) -> &'static str {
    match state {
        NtpServerState::Waiting => "waiting",
        NtpServerState::Agreeing => "agreeing",
        NtpServerState::Falseticker(_) => "falseticker",
        NtpServerState::Undecided => "undecided",
        NtpServerState::Duplicate { .. } => "duplicate",
        NtpServerState::Refused(_) => "refused",
    }
}
