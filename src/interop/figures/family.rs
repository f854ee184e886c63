//! What a figure is called, and what it means.

/// What a figure does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows, from 0 when the clock is built.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A gauge that is 1 for what is so; for all else it is 0 or not there.
    Flag,
}

/// All figures of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Family {
    /// The name, its unit at the end.
    pub name: &'static str,
    /// What they do over time.
    pub kind: Kind,
    /// What they mean, in one line.
    pub help: &'static str,
}

/// Declares the families in the order in which they are printed.
macro_rules! families {
    ($($place:ident $kind:ident $name:literal $help:literal)*) => {
        $(pub(super) static $place: Family = Family {
            name: concat!("epsilon_clock_", $name),
            kind: Kind::$kind,
            help: $help,
        };)*

        impl Family {
            /// Every family, in the order in which [`Figures`](super::Figures) print them.
            pub const ALL: &'static [&'static Self] = &[$(&$place),*];
        }
    };
}

families! {
    AVAILABLE Flag "available" "Whether there is an interval, 1 or 0."
    ERROR Flag "error" "1 for the reason why there is no interval."
    STATE Flag "state" "1 for the state that the clock is in."
    EPSILON Gauge "epsilon_seconds" "Half of the interval's width; none where there is no interval."
    BOUND Gauge "bound_seconds" "The terms that epsilon is made of."
    SOURCE Flag "source" "1 for the source whose claim is in force."
    CLAIM_AGE Gauge "claim_age_seconds" "How long ago the claim in force was made."
    REFUSES_IN Gauge "refuses_in_seconds" "Time until there is no interval any more, if no other claim comes."
    REFUSAL Flag "refusal" "1 for the reason why the first source that does not vouch does not."
    DRIFT Gauge "drift_ratio" "By how much epsilon grows, in seconds a second."
    LEARNED_LOW Gauge "learned_rate_low_ratio" "The least rate of true time against raw time, as learned."
    LEARNED_HIGH Gauge "learned_rate_high_ratio" "The greatest rate of true time against raw time, as learned."
    LEARNED_WINDOW Gauge "learned_window_seconds" "The time over which the rate was learned."
    LEARNED_CLAIMS Gauge "learned_claims" "The number of claims from which the rate was learned."
    SOURCE_VOUCHES Flag "source_vouches" "Whether the source vouches for the time by itself, 1 or 0."
    SOURCE_EPSILON Gauge "source_epsilon_seconds" "Half of the width of the interval that the source gives by itself."
    SOURCE_AGE Gauge "source_claim_age_seconds" "How long ago the source made its last claim that counts."
    SERVER_STATE Flag "ntp_server_state" "1 for the standing of the NTP server among those that are asked."
    SERVER_TRIP Gauge "ntp_server_round_trip_seconds" "The round trip of the exchange that represents the NTP server."
    SERVER_DISTANCE Gauge "ntp_server_root_distance_seconds" "How far off the NTP server may have been in that exchange."
    SERVER_AGE Gauge "ntp_server_age_seconds" "How long ago that exchange was."
    SERVER_STRATUM Gauge "ntp_server_stratum" "How far from a reference clock the NTP server is."
    SERVER_LOSSES Gauge "ntp_server_losses" "Requests in a row to which the NTP server has not replied."
    KERNEL_MAX Gauge "kernel_max_error_seconds" "The largest error by the kernel (maxerror); 16 s or more mean that it is unknown."
    KERNEL_ESTIMATED Gauge "kernel_estimated_error_seconds" "The estimated error by the kernel (esterror)."
    KERNEL_UNSYNCHRONIZED Flag "kernel_unsynchronized" "Whether the kernel calls its clock unsynchronised, 1 or 0."
    LOOKS Counter "looks_total" "Looks at the sources that were completed."
    LOOKS_DROPPED Counter "looks_dropped_total" "Looks that were dropped, for another was faster or a leap second too near."
    WRITES Counter "writes_total" "Writes of a time daemon that were recognised and used."
    STEPS Counter "steps_total" "Steps of real time."
    SUSPENDS Counter "suspends_total" "Suspends and other disturbances that made claims void."
    CONTRADICTIONS Counter "contradictions_total" "Contradictions between claims: an assumption was false."
    RATE_RESETS Counter "rate_resets_total" "How often what was learned of the rate was forgotten."
    REFUSALS Counter "refusals_total" "Looks at which a source did not vouch."
}
