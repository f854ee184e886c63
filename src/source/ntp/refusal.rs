//! Why NTP servers are not believed, and what ends it.

use thiserror::Error;

use crate::words::words_enum;

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
    /// What the servers say excludes what a judge among the sources says.
    #[error(
        "what the NTP servers say is {by_us} µs off what the machine's time daemon vouches for, and a few \
         servers do not outweigh it: check both; `NtpSource::guard` gives these servers a veto"
    )]
    Contradicts {
        /// By how much, in µs and rounded down.
        by_us: i64,
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
        "the NTP server reports no dispersion, as OpenNTPD does, so its distance from UTC is unknown: \
         use one that runs chrony or ntpd"
    )]
    NoDispersion,
    /// The server serves its own clock.
    #[error(
        "the NTP server serves its own clock, which follows no source: give it a server, or say \
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
         on Linux, name another source, or vouch that it never sleeps with \
         `NtpSource::assume_never_suspended`"
    )]
    NoSuspendClock,
    /// A server that has to prove who it is does not.
    #[error("{0}")]
    #[cfg_attr(feature = "serde", serde(untagged))]
    Nts(NtsRefusal),
}

impl NtpRefusal {
    /// Names the kind in a `snake_case` word for machines, without its figures.
    ///
    /// A label for metrics: it does not change from version to version, and is the tag that `serde` writes.
    ///
    /// ```
    /// # use epsilon_clock::source::NtpRefusal;
    /// assert_eq!(NtpRefusal::RateLimited.as_str(), "rate_limited");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::Silent { .. } => "silent",
            Self::TooFew { .. } => "too_few",
            Self::Disagree { .. } => "disagree",
            Self::Contradicts { .. } => "contradicts",
            Self::Unsynchronized => "unsynchronized",
            Self::RateLimited => "rate_limited",
            Self::Denied => "denied",
            Self::Kiss { .. } => "kiss",
            Self::Inconsistent => "inconsistent",
            Self::HeldTooLong => "held_too_long",
            Self::TooDistant { .. } => "too_distant",
            Self::StaleReference { .. } => "stale_reference",
            Self::NoDispersion => "no_dispersion",
            Self::LocalReference => "local_reference",
            Self::Smoothed => "smoothed",
            Self::BeyondRoundTrip { .. } => "beyond_round_trip",
            Self::ContradictsItself => "contradicts_itself",
            Self::LeapUnsettled => "leap_unsettled",
            Self::NoSuspendClock => "no_suspend_clock",
            Self::Nts(refusal) => refusal.as_str(),
        }
    }
}

words_enum!(NtpRefusal {
    NoAnswer = 1,
    Silent { for_s } = 2,
    TooFew { answered, needed } = 3,
    Disagree { agreeing, needed } = 4,
    Unsynchronized = 5,
    RateLimited = 6,
    Denied = 7,
    Kiss { code } = 8,
    Inconsistent = 9,
    HeldTooLong = 10,
    TooDistant { distance_ms } = 11,
    StaleReference { age_h } = 12,
    NoDispersion = 13,
    LocalReference = 14,
    Smoothed = 15,
    BeyondRoundTrip { by_us } = 16,
    ContradictsItself = 17,
    LeapUnsettled = 18,
    NoSuspendClock = 19,
    Contradicts { by_us } = 20,
    Nts(refusal) = 21,
});

/// Why a server that is asked in NTS is not believed, and what ends it. It is never asked in plain NTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NtsRefusal {
    /// No connection for the key exchange came about.
    #[error(
        "the NTS server cannot be reached for keys: check its name, and that TCP port 4460 is let out"
    )]
    Unreachable,
    /// Keys were asked for too often, by all clocks of this process together.
    #[error(
        "the NTS server was asked for keys too often: it is asked again within a minute or two"
    )]
    Postponed,
    /// There is no root certificate to check the server's by.
    #[error(
        "this machine has no root certificates to check an NTS server's by: install them, or name \
         your own with `NtpServer::nts_roots`"
    )]
    NoRoots,
    /// The certificate is of another name.
    #[error(
        "the NTS server's certificate is of another name: name the server as its certificate does"
    )]
    WrongName,
    /// The certificate is not valid any more.
    #[error(
        "the NTS server's certificate has expired: its operator must renew it; if this machine's own \
         clock is what is wrong, `NtpServer::accept_certificate_dates` takes any date"
    )]
    Expired,
    /// The certificate is not valid yet.
    #[error(
        "the NTS server's certificate is not valid yet: if this machine's own clock is what is wrong, \
         set it, or let `NtpServer::accept_certificate_dates` take any date"
    )]
    NotValidYet,
    /// No trusted root signed the certificate, or it is broken.
    #[error(
        "the NTS server's certificate leads to no root that this machine trusts: name its root with \
         `NtpServer::nts_roots`, or use another server"
    )]
    Untrusted,
    /// The key exchange itself went wrong.
    #[error(
        "the exchange of keys with the NTS server failed, so that it may speak no NTS: check its name and \
         port, or use another"
    )]
    KeyExchange,
    /// A reply came without a seal, as of a server in plain NTP.
    #[error(
        "a plain reply came where a sealed one is due: its sender is not the NTS server, or has lost its \
         keys; the next sealed one counts"
    )]
    Plain,
    /// A reply came whose seal is broken.
    #[error(
        "a reply came whose seal is broken: it was altered on its way, or forged; the next sound one counts"
    )]
    Forged,
    /// The server does not know its own cookies any more.
    #[error("the NTS server has new keys: they are asked for, once in a minute at most")]
    UnknownCookie,
}

impl NtsRefusal {
    /// Names the kind in a `snake_case` word for machines: a label that does not change from version to
    /// version.
    ///
    /// ```
    /// # use epsilon_clock::source::ntp::NtsRefusal;
    /// assert_eq!(NtsRefusal::Forged.as_str(), "nts_forged");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable => "nts_unreachable",
            Self::Postponed => "nts_postponed",
            Self::NoRoots => "nts_no_roots",
            Self::WrongName => "nts_wrong_name",
            Self::Expired => "nts_expired",
            Self::NotValidYet => "nts_not_valid_yet",
            Self::Untrusted => "nts_untrusted",
            Self::KeyExchange => "nts_key_exchange",
            Self::Plain => "nts_plain",
            Self::Forged => "nts_forged",
            Self::UnknownCookie => "nts_unknown_cookie",
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for NtsRefusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

words_enum!(NtsRefusal {
    Unreachable = 1,
    Postponed = 2,
    NoRoots = 3,
    WrongName = 4,
    Expired = 5,
    NotValidYet = 6,
    Untrusted = 7,
    KeyExchange = 8,
    Plain = 9,
    Forged = 10,
    UnknownCookie = 11,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMemory;

    #[test]
    fn every_refusal_comes_back_from_memory_and_says_what_ends_it() {
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
            NtpRefusal::ContradictsItself,
            NtpRefusal::LeapUnsettled,
            NtpRefusal::NoSuspendClock,
            NtpRefusal::Nts(NtsRefusal::Unreachable),
            NtpRefusal::Nts(NtsRefusal::Postponed),
            NtpRefusal::Nts(NtsRefusal::NoRoots),
            NtpRefusal::Nts(NtsRefusal::WrongName),
            NtpRefusal::Nts(NtsRefusal::Expired),
            NtpRefusal::Nts(NtsRefusal::NotValidYet),
            NtpRefusal::Nts(NtsRefusal::Untrusted),
            NtpRefusal::Nts(NtsRefusal::KeyExchange),
            NtpRefusal::Nts(NtsRefusal::Plain),
            NtpRefusal::Nts(NtsRefusal::Forged),
            NtpRefusal::Nts(NtsRefusal::UnknownCookie),
        ] {
            let mut memory = SourceMemory::default();
            memory.store(&refusal);
            assert_eq!(memory.load(), Some(refusal));
            // Each says what would end it.
            let told = refusal.to_string();
            assert!(told.contains(": "), "{told}");
        }
    }
}
