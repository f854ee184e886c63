//! Why chronyd's word is not taken.

use thiserror::Error;

use crate::words::words_enum;

/// Why chronyd does not vouch for the clock, with what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ChronyRefusal {
    /// No chronyd has ever answered.
    #[error(
        "no chronyd has answered on its command port: run chronyd, with a `cmdport` that is not 0, \
         or name the clock's sources without it"
    )]
    NoAnswer,
    /// It used to answer, and does no more.
    #[error(
        "chronyd has not answered for {for_ms} ms: check that it runs, and that this \
         clock is refreshed"
    )]
    Silent {
        /// For how long, in ms.
        for_ms: i64,
    },
    /// It says itself that it is not synchronised.
    #[error(
        "chronyd is not synchronised to any server: see `chronyc sources` for what it can reach"
    )]
    Unsynchronized,
    /// It follows its own clock, and reports that this has no error.
    #[error(
        "chronyd follows its own clock (`local` in chrony.conf), whose error is unknown: give it a \
         server"
    )]
    LocalReference,
    /// Its servers have been silent for more than eight update intervals.
    #[error(
        "chronyd last took over a server's time {age_s} s ago, more than eight of its update \
         intervals: see `chronyc sources` for what it can reach"
    )]
    StaleReference {
        /// How long ago, in s.
        age_s: i64,
    },
    /// It took over a server's time in what the clock says is the future.
    #[error(
        "chronyd took over a server's time {by_s} s in the future of this clock, which was set back \
         since: wait for its next update, or restart it"
    )]
    FutureReference {
        /// How far ahead, in s.
        by_s: i64,
    },
    /// Its samples have left the line that it fits through them: its bound means nothing for now.
    #[error(
        "chronyd's samples have left its estimate of the frequency by {beyond_ppb} ppb more than its \
         skew, as after a step by another program: wait for its next updates"
    )]
    Unsettled {
        /// By how much the residual frequency exceeds the skew, in ppb.
        beyond_ppb: i64,
    },
    /// The kernel calls its clock unsynchronised, whatever chronyd says.
    #[error(
        "chronyd vouches for a clock that the kernel calls unsynchronised: add `rtcsync` to \
         chrony.conf, or use `accept_unsync_flag` if chronyd runs with `-x`"
    )]
    KernelUnsynchronized,
    /// Its clock is off by 16 s or more, or may be.
    #[error("chronyd's clock may be off by 16 s or more: wait for it, or let it step (`makestep`)")]
    TooWide,
    /// It refuses to answer.
    #[error(
        "chronyd refuses to tell about its tracking (status {status}): see `cmdallow` in chrony.conf"
    )]
    Denied {
        /// The status of its reply.
        status: i64,
    },
    /// What answers is no tracking report of a known version.
    #[error(
        "what answers on chronyd's command port does not speak version 6 of its protocol (chrony 2.0 \
         and later do)"
    )]
    Malformed,
}

words_enum!(ChronyRefusal {
    NoAnswer = 1,
    Silent { for_ms } = 2,
    Unsynchronized = 3,
    LocalReference = 4,
    StaleReference { age_s } = 5,
    FutureReference { by_s } = 6,
    TooWide = 7,
    Denied { status } = 8,
    Malformed = 9,
    Unsettled { beyond_ppb } = 10,
    KernelUnsynchronized = 11,
});

impl ChronyRefusal {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    ///
    /// ```
    /// # use epsilon_clock::source::ChronyRefusal;
    /// assert_eq!(ChronyRefusal::Silent { for_ms: 3_000 }.as_str(), "silent");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::Silent { .. } => "silent",
            Self::Unsynchronized => "unsynchronized",
            Self::LocalReference => "local_reference",
            Self::StaleReference { .. } => "stale_reference",
            Self::FutureReference { .. } => "future_reference",
            Self::Unsettled { .. } => "unsettled",
            Self::KernelUnsynchronized => "kernel_unsynchronized",
            Self::TooWide => "too_wide",
            Self::Denied { .. } => "denied",
            Self::Malformed => "malformed",
        }
    }
}
