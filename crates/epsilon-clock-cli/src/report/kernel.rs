//! The kernel's own figures, in words.

use epsilon_clock::machine::NtpStatus;

pub(super) fn state_in_words(state: i32) -> &'static str {
    match state {
        NtpStatus::TIME_OK => "synchronised, no leap second in sight",
        NtpStatus::TIME_INS => "a second will be inserted at the end of the UTC day",
        NtpStatus::TIME_DEL => "the last second of the UTC day will be left out",
        NtpStatus::TIME_OOP => "an inserted second is in progress",
        NtpStatus::TIME_WAIT => "a leap second has taken place",
        NtpStatus::TIME_ERROR => "not synchronised",
        _ => "unknown",
    }
}

pub(super) fn flags_in_words(status: &NtpStatus) -> String {
    let words: Vec<_> = [
        (NtpStatus::STA_UNSYNC, "unsynchronised"),
        (NtpStatus::STA_PLL, "corrected by the kernel's own loop"),
        (NtpStatus::STA_INS, "leap second to insert"),
        (NtpStatus::STA_DEL, "leap second to delete"),
        (NtpStatus::STA_NANO, "counting in nanoseconds"),
    ]
    .into_iter()
    .filter_map(|(flag, words)| status.has(flag).then_some(words))
    .collect();
    if words.is_empty() {
        return "none of note".to_owned();
    }
    words.join(", ")
}

pub(super) fn error_in_words(us: i64) -> String {
    if (0..NtpStatus::MAXERROR_CAP).contains(&us) {
        format!("{us} µs")
    } else {
        format!("{us} µs, which means unknown")
    }
}
