//! What is remembered from one look at the kernel to the next.

use super::fingerprint::Opinion;
use super::leap::LeapFlags;
use super::predictor::Baseline;
use crate::source::Awaiting;
use crate::words::words_struct;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) baseline: Option<Baseline>,
    pub(super) opinion: Opinion,
    /// Why there is nothing to stand by until the next write.
    pub(super) waiting: Option<Awaiting>,
    pub(super) leap_flags: LeapFlags,
}

words_struct!(Remembered {
    baseline,
    opinion,
    waiting,
    leap_flags
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::OffsetRange;
    use crate::source::{SourceMemory, Writer};

    #[test]
    fn what_is_remembered_comes_back() {
        let mut remembered = Remembered {
            baseline: Some(Baseline {
                maxerror: 1,
                real: 2,
                raw: 3,
                mono_before: 4,
                mono_after: 5,
                real_offset: OffsetRange { lo: 6, hi: 7 },
                adjustment_ppb: 8,
                tai: 9,
            }),
            opinion: Opinion::Fair,
            waiting: Some(Awaiting::Slewing { rate_ppb: -10 }),
            leap_flags: LeapFlags {
                set: 0x10,
                stale: 0x20,
            },
        };
        let mut memory = SourceMemory::default();
        assert_eq!(memory.load::<Remembered>(), None);
        for opinion in [
            Opinion::Suspicious,
            Opinion::Refused(Writer::Timesyncd),
            Opinion::Refused(Writer::PtpOrOpenntpd),
        ] {
            remembered.opinion = opinion;
            memory.store(&remembered);
            assert_eq!(memory.load(), Some(remembered));
        }
        memory.store(&Remembered::default());
        assert_eq!(memory.load(), Some(Remembered::default()));
    }
}
