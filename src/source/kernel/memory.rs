//! What is remembered from one look to the next, and how it is written down.

use super::fingerprint::Opinion;
use super::leap::LeapFlags;
use super::predictor::Baseline;
use crate::machine::OffsetRange;
use crate::source::{Awaiting, SourceMemory, Writer};

/// What is remembered between two looks.
pub(super) struct Remembered {
    pub(super) baseline: Option<Baseline>,
    pub(super) opinion: Opinion,
    /// Why there is nothing to stand by until the next write.
    pub(super) waiting: Option<Awaiting>,
    pub(super) leap_flags: LeapFlags,
}

impl Remembered {
    pub(super) fn load(memory: &SourceMemory) -> Self {
        let [
            present,
            maxerror,
            real,
            raw,
            mono_before,
            mono_after,
            offset_lo,
            offset_hi,
            adjustment_ppb,
            tai,
            opinion,
            waiting,
            waiting_figure,
            leap_set,
            leap_stale,
            _,
        ] = memory.words;
        let flags = |word: i64| i32::try_from(word).unwrap_or(0);
        Self {
            baseline: (present != 0).then_some(Baseline {
                maxerror,
                real,
                raw,
                mono_before,
                mono_after,
                real_offset: OffsetRange {
                    lo: offset_lo,
                    hi: offset_hi,
                },
                adjustment_ppb,
                tai,
            }),
            opinion: match opinion {
                0 => Opinion::Fair,
                1 => Opinion::Suspicious,
                2 => Opinion::Refused(Writer::Timesyncd),
                3 => Opinion::Refused(Writer::NtpdStarting),
                _ => Opinion::Refused(Writer::PtpOrOpenntpd),
            },
            waiting: Awaiting::from_words(waiting, waiting_figure),
            leap_flags: LeapFlags {
                set: flags(leap_set),
                stale: flags(leap_stale),
            },
        }
    }

    pub(super) fn store(&self) -> SourceMemory {
        let b = self.baseline.unwrap_or_default();
        let opinion = match self.opinion {
            Opinion::Fair => 0,
            Opinion::Suspicious => 1,
            Opinion::Refused(Writer::Timesyncd) => 2,
            Opinion::Refused(Writer::NtpdStarting) => 3,
            Opinion::Refused(Writer::PtpOrOpenntpd) => 4,
        };
        let (waiting, waiting_figure) = Awaiting::to_words(self.waiting);
        SourceMemory {
            words: [
                self.baseline.is_some().into(),
                b.maxerror,
                b.real,
                b.raw,
                b.mono_before,
                b.mono_after,
                b.real_offset.lo,
                b.real_offset.hi,
                b.adjustment_ppb,
                b.tai,
                opinion,
                waiting,
                waiting_figure,
                self.leap_flags.set.into(),
                self.leap_flags.stale.into(),
                0,
            ],
        }
    }
}
