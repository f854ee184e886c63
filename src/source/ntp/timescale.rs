//! Which servers smear leap seconds: those that do and those that do not are about two axes.

/// Where a server puts the second that is too many or too few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timescale {
    /// At midnight, all at once, as UTC does.
    Steps,
    /// Spread evenly over the 24 hours from noon to noon.
    SmearsNoonToNoon,
    /// Spread by Meta's curve over the 17 hours after midnight.
    SmearsAfterMidnight,
}

/// Servers known to smear, by the end of their names or by their addresses, as of November 2026.
///
/// Google: <https://developers.google.com/time/smear>; Amazon's NTP servers smear, its PTP hardware
/// clock does not: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html>; Meta: "It's
/// time to leave the leap second in the past" (2022). The list proves nothing of servers that are not
/// on it.
const KNOWN: [(&str, Timescale); 9] = [
    ("time.google.com", Timescale::SmearsNoonToNoon),
    ("time1.google.com", Timescale::SmearsNoonToNoon),
    ("time2.google.com", Timescale::SmearsNoonToNoon),
    ("time3.google.com", Timescale::SmearsNoonToNoon),
    ("time4.google.com", Timescale::SmearsNoonToNoon),
    ("metadata.google.internal", Timescale::SmearsNoonToNoon),
    ("time.aws.com", Timescale::SmearsNoonToNoon),
    ("169.254.169.123", Timescale::SmearsNoonToNoon),
    ("fd00:ec2::123", Timescale::SmearsNoonToNoon),
];

/// Meta's servers: `time.facebook.com` and `time1` to `time5`.
const META: &str = ".facebook.com";

/// Returns what is known of a server of this name or address.
pub(super) fn of_host(host: &str) -> Timescale {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name.starts_with("time") && name.ends_with(META) {
        return Timescale::SmearsAfterMidnight;
    }
    KNOWN
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(Timescale::Steps, |(_, timescale)| *timescale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_known_however_they_are_spelt() {
        assert_eq!(of_host("Time.Google.com."), Timescale::SmearsNoonToNoon);
        assert_eq!(of_host("169.254.169.123"), Timescale::SmearsNoonToNoon);
        assert_eq!(
            of_host("time3.facebook.com"),
            Timescale::SmearsAfterMidnight
        );
        assert_eq!(of_host("ntp1.example.net"), Timescale::Steps);
    }
}
