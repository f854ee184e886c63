//! The report as a program reads it.

use epsilon_clock::clock::{Counters, SourceStatus};
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::source::Refusal;
use epsilon_clock::{ErrorBound, Interval};

use super::Report;
use crate::json::Json;
use crate::ntp;
use crate::units::nanos;

impl Report {
    pub(crate) fn sources_json(&self) -> Json {
        Json::List(self.sources.iter().map(source).collect())
    }

    pub(crate) fn servers_json(&self) -> Json {
        Json::List(self.servers.iter().map(ntp::as_json).collect())
    }

    pub(crate) fn json(&self) -> Json {
        let status = &self.status;
        let reason = status.interval.err().map(|error| error.to_string());
        let rate = status.rate.map(|rate| {
            Json::object([
                ("lo_ppb", rate.lo_ppb().into()),
                ("hi_ppb", rate.hi_ppb().into()),
            ])
        });
        let learned = status.learned.map(|learned| {
            Json::object([
                ("claims", u64::try_from(learned.claims).ok().into()),
                ("window_ns", nanos(learned.window).into()),
            ])
        });
        Json::object([
            ("state", status.state.as_str().into()),
            ("reason", reason.into()),
            (
                "reason_code",
                status.interval.err().map(|error| error.as_str()).into(),
            ),
            (
                "interval",
                status.interval.as_ref().ok().map(interval).into(),
            ),
            ("estimate", self.estimate.as_str().into()),
            ("bound", status.bound.as_ref().map(bound).into()),
            ("source", status.source.into()),
            ("sources", self.sources_json()),
            ("vmclock", status.vmclock.to_string().into()),
            ("rate", rate.into()),
            ("learned", learned.into()),
            ("age_ns", status.age.map(nanos).into()),
            ("refuses_in_ns", status.refuses_in.map(nanos).into()),
            (
                "refusal",
                status.refusal.map(|refusal| refusal.to_string()).into(),
            ),
            ("refusal_code", status.refusal.map(code).into()),
            ("ntp_servers", self.servers_json()),
            (
                "kernel",
                self.kernel
                    .as_ref()
                    .and_then(|status| status.as_ref().ok())
                    .map(kernel)
                    .into(),
            ),
            ("counters", counters(&status.counters)),
        ])
    }
}

fn source(source: &SourceStatus) -> Json {
    Json::object([
        ("name", source.name.into()),
        ("serves", source.serves.into()),
        ("interval", source.interval.as_ref().map(interval).into()),
        ("bound", source.bound.as_ref().map(bound).into()),
        ("age_ns", source.age.map(nanos).into()),
        (
            "refusal",
            source.refusal.map(|refusal| refusal.to_string()).into(),
        ),
        ("refusal_code", source.refusal.map(code).into()),
    ])
}

/// What it is in one word: of the refusals of chronyd and of NTP servers, which one.
fn code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Chrony(refusal) => refusal.as_str(),
        Refusal::Ntp(refusal) => refusal.as_str(),
        refusal => refusal.as_str(),
    }
}

fn interval(interval: &Interval) -> Json {
    Json::object([
        ("earliest_ns", interval.earliest().unix_nanos().into()),
        ("latest_ns", interval.latest().unix_nanos().into()),
        ("earliest", interval.earliest().to_string().into()),
        ("latest", interval.latest().to_string().into()),
        ("epsilon_ns", nanos(interval.epsilon()).into()),
    ])
}

fn bound(bound: &ErrorBound) -> Json {
    let total = ("total_ns".to_owned(), nanos(bound.total()).into());
    let terms = bound.items().into_iter();
    let terms = terms.map(|(name, ns)| (format!("{name}_ns"), ns.into()));
    Json::Object(terms.chain([total]).collect())
}

fn kernel(status: &NtpStatus) -> Json {
    Json::object([
        ("state", status.state.into()),
        ("status", status.status.into()),
        ("maxerror_us", status.maxerror.into()),
        ("esterror_us", status.esterror.into()),
    ])
}

fn counters(counters: &Counters) -> Json {
    Json::object([
        ("looks", counters.looks.into()),
        ("looks_dropped", counters.looks_dropped.into()),
        ("writes", counters.writes.into()),
        ("steps", counters.steps.into()),
        ("suspends", counters.suspends.into()),
        ("contradictions", counters.contradictions.into()),
        ("rate_resets", counters.rate_resets.into()),
        ("refusals", counters.refusals.into()),
    ])
}
