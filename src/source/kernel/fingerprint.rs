//! Who wrote a bound that means nothing, told by what it looks like.

use super::predictor::GROWTH_US;
use crate::machine::NtpStatus;
use crate::source::Writer;
use crate::words::words_enum;

/// The 16 µs that ntpd writes as both errors when it starts.
const NTPD_PLACEHOLDER_US: i64 = 16;

/// What earlier writes looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opinion {
    /// Nothing speaks against the writer.
    #[default]
    Fair,
    /// The last write looked like one of those that mean nothing; the one before it did not.
    Suspicious,
    /// The writer reports no bound.
    Refused(Writer),
}

words_enum!(Opinion { Fair = 0, Suspicious = 1, Refused(writer) = 2 });

/// What one status looks like, by itself.
pub(super) enum Looks {
    Honest,
    /// Like the writer's, as one honest bound in 500 does.
    Like(Writer),
    /// Like nobody else's.
    Surely(Writer),
}

/// Compares a status with what writers without a bound leave behind.
pub(super) fn fingerprint(status: &NtpStatus) -> Looks {
    let NtpStatus {
        maxerror, esterror, ..
    } = *status;
    let pll = status.has(NtpStatus::STA_PLL);
    let since_placeholder = maxerror.saturating_sub(NTPD_PLACEHOLDER_US);
    if esterror == NTPD_PLACEHOLDER_US
        && status.status == NtpStatus::STA_PLL
        && since_placeholder >= 0
        && since_placeholder % GROWTH_US == 0
    {
        // 16 under 16 and status 1: too many coincidences for an honest writer.
        Looks::Surely(Writer::NtpdStarting)
    } else if maxerror == 0 && esterror == 0 && pll {
        Looks::Surely(Writer::Timesyncd)
    } else if esterror > maxerror {
        Looks::Surely(Writer::PtpOrOpenntpd)
    } else if maxerror % GROWTH_US == 0 && esterror == 0 {
        Looks::Like(if pll {
            Writer::Timesyncd
        } else {
            Writer::PtpOrOpenntpd
        })
    } else if maxerror % GROWTH_US == 0 && !pll {
        // A zero that has grown past its untouched esterror.
        Looks::Like(Writer::PtpOrOpenntpd)
    } else {
        Looks::Honest
    }
}
