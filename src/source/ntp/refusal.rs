//! Why NTP servers are not believed, and what ends it.

use thiserror::Error;

/// Why an NTP server, or all of them together, do not vouch for an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NtpRefusal {
    /// No reply has ever come.
    #[error(
        "no NTP server has answered yet: if that lasts, check the names and that UDP port 123 is let \
         out and back in"
    )]
    NoAnswer,
    /// The last reply is too old to be carried on.
    #[error(
        "no NTP server has answered for {for_s} s: check the network, and that this clock is \
         refreshed"
    )]
    Silent {
        /// For how long, in s.
        for_s: i64,
    },
    /// Too few servers have said anything that counts.
    #[error(
        "{answered} NTP servers have said something that counts, and {needed} must: wait, see \
         `doctor` for the state of each, or name more servers"
    )]
    TooFew {
        /// How many have.
        answered: u32,
        /// How many would do: one more than may be false.
        needed: u32,
    },
    /// Fewer servers agree than must.
    #[error(
        "at most {agreeing} NTP servers agree, and {needed} must: one that is wrong has to be set \
         right or taken out; intervals resume once enough agree"
    )]
    Disagree {
        /// How many share an instant.
        agreeing: u32,
        /// How many must.
        needed: u32,
    },
    /// The server says itself that it is not synchronised.
    #[error("the NTP server says that it is not synchronised: wait for it, or use another")]
    Unsynchronized,
    /// The server asks for fewer requests.
    #[error(
        "the NTP server wants to be asked less often (kiss RATE): it is, and will answer again"
    )]
    RateLimited,
    /// The server does not serve this host.
    #[error(
        "the NTP server refuses to serve this host (kiss DENY or RSTR): use another one; this one is \
         asked again in a day"
    )]
    Denied,
    /// The server sent a kiss that means nothing here.
    #[error(
        "the NTP server sent no time but a message (kiss {code:#010x}): use another if it lasts"
    )]
    Kiss {
        /// Its four letters.
        code: u32,
    },
    /// A field that says where the server has its time from makes no sense.
    #[error(
        "the NTP server's reply is out of order (its stratum, or stamps that are missing or reversed): \
         use another if it lasts"
    )]
    Inconsistent,
    /// The server had the request for longer than any reply can be of use.
    #[error("the NTP server held the request for more than 4 s: ask it again, or use another")]
    HeldTooLong,
    /// The server may be too far off.
    #[error(
        "the NTP server may be {distance_ms} ms off, which is beyond `max_root_distance`: wait until \
         its own bound shrinks, or use a nearer one"
    )]
    TooDistant {
        /// Its root distance, margins included, in ms.
        distance_ms: i64,
    },
    /// The server has had no time from anywhere for long.
    #[error(
        "the NTP server was last synchronised {age_h} h ago, which is more than 36 h: restore its \
         own servers, or use another"
    )]
    StaleReference {
        /// How long ago, in h.
        age_h: i64,
    },
    /// The server reports no dispersion, as `OpenNTPD` does.
    #[error(
        "the NTP server reports no dispersion, as OpenNTPD does, so nobody knows how far off it is: \
         use one that runs chrony or ntpd"
    )]
    NoDispersion,
    /// The server serves its own clock.
    #[error(
        "the NTP server serves its own clock, which follows nobody: give it a server, or say \
         `accept_local` if its clock is the one that counts"
    )]
    LocalReference,
    /// The server serves time that is off on purpose.
    #[error(
        "the NTP server serves time that is off on purpose (chrony's `smoothtime`) and does not say \
         by how much: turn that off there, or use another"
    )]
    Smoothed,
    /// The server says that more time passed there than can have passed here.
    #[error(
        "the NTP server had the request {by_us} µs longer than the round trip took: its clock jumped, \
         or this machine stood still unseen; its next sound reply counts"
    )]
    BeyondRoundTrip {
        /// By how much, in µs.
        by_us: i64,
    },
    /// Several servers say so at once: it was this machine.
    #[error(
        "more time passed at several NTP servers than raw time counted here, so this machine stood \
         still unseen: intervals resume with the servers' next replies"
    )]
    RawStoodStill,
    /// The server's replies exclude each other.
    #[error(
        "the NTP server's replies exclude each other, so its clock jumped or its bound is false: it \
         counts again after two that agree"
    )]
    ContradictsItself,
    /// A leap second has just been, and the servers are not where they were before it.
    #[error(
        "the NTP servers do not agree with the time from before the leap second: they count once \
         they do, or an hour after it"
    )]
    LeapUnsettled,
    /// This machine cannot tell a suspend from a step of its clock.
    #[error(
        "this machine's clocks do not tell a suspend from a step, so no reply can be carried on: run \
         on Linux, or name another source"
    )]
    NoSuspendClock,
}

impl NtpRefusal {
    /// Returns a kind and a figure, for the clock's own state.
    pub(crate) fn to_words(self) -> (i64, i64) {
        match self {
            Self::NoAnswer => (0, 0),
            Self::Silent { for_s } => (1, for_s),
            Self::TooFew { answered, needed } => (2, pack(answered, needed)),
            Self::Disagree { agreeing, needed } => (3, pack(agreeing, needed)),
            Self::Unsynchronized => (4, 0),
            Self::RateLimited => (5, 0),
            Self::Denied => (6, 0),
            Self::Kiss { code } => (7, code.into()),
            Self::Inconsistent => (8, 0),
            Self::HeldTooLong => (9, 0),
            Self::TooDistant { distance_ms } => (10, distance_ms),
            Self::StaleReference { age_h } => (11, age_h),
            Self::NoDispersion => (12, 0),
            Self::LocalReference => (13, 0),
            Self::Smoothed => (14, 0),
            Self::BeyondRoundTrip { by_us } => (15, by_us),
            Self::RawStoodStill => (16, 0),
            Self::ContradictsItself => (17, 0),
            Self::LeapUnsettled => (18, 0),
            Self::NoSuspendClock => (19, 0),
        }
    }

    pub(crate) fn from_words(kind: i64, figure: i64) -> Self {
        let (first, second) = unpack(figure);
        match kind {
            1 => Self::Silent { for_s: figure },
            2 => Self::TooFew {
                answered: first,
                needed: second,
            },
            3 => Self::Disagree {
                agreeing: first,
                needed: second,
            },
            4 => Self::Unsynchronized,
            5 => Self::RateLimited,
            6 => Self::Denied,
            7 => Self::Kiss { code: second },
            8 => Self::Inconsistent,
            9 => Self::HeldTooLong,
            10 => Self::TooDistant {
                distance_ms: figure,
            },
            11 => Self::StaleReference { age_h: figure },
            12 => Self::NoDispersion,
            13 => Self::LocalReference,
            14 => Self::Smoothed,
            15 => Self::BeyondRoundTrip { by_us: figure },
            16 => Self::RawStoodStill,
            17 => Self::ContradictsItself,
            18 => Self::LeapUnsettled,
            19 => Self::NoSuspendClock,
            _ => Self::NoAnswer,
        }
    }
}

fn pack(first: u32, second: u32) -> i64 {
    // Counts of servers: far below 2³¹.
    i64::from(first & 0x7fff_ffff) << 32 | i64::from(second)
}

fn unpack(figure: i64) -> (u32, u32) {
    let part = |bits: i64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
    (part(figure >> 32), part(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_back_from_its_words() {
        for refusal in [
            NtpRefusal::NoAnswer,
            NtpRefusal::Silent { for_s: 7 },
            NtpRefusal::TooFew {
                answered: 1,
                needed: 2,
            },
            NtpRefusal::Disagree {
                agreeing: 2,
                needed: 3,
            },
            NtpRefusal::Unsynchronized,
            NtpRefusal::RateLimited,
            NtpRefusal::Denied,
            NtpRefusal::Kiss { code: u32::MAX },
            NtpRefusal::Inconsistent,
            NtpRefusal::HeldTooLong,
            NtpRefusal::TooDistant { distance_ms: 1_600 },
            NtpRefusal::StaleReference { age_h: 40 },
            NtpRefusal::NoDispersion,
            NtpRefusal::LocalReference,
            NtpRefusal::Smoothed,
            NtpRefusal::BeyondRoundTrip { by_us: 2_770_000 },
            NtpRefusal::RawStoodStill,
            NtpRefusal::ContradictsItself,
            NtpRefusal::LeapUnsettled,
            NtpRefusal::NoSuspendClock,
        ] {
            let (kind, figure) = refusal.to_words();
            assert_eq!(NtpRefusal::from_words(kind, figure), refusal);
            // Each says what would end it.
            let told = refusal.to_string();
            assert!(told.contains(": "), "{told}");
        }
    }
}
