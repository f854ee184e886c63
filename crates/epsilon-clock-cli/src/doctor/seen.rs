use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::{Clock, Status};

use super::compared::Compared;

/// What the clock said while it was watched.
pub struct Seen {
    /// For how long.
    pub span: Duration,
    /// The least and the largest epsilon.
    pub epsilon: Option<(Duration, Duration)>,
    /// At the end of that.
    pub status: Status,
    /// What the kernel says of its own clock, if it was asked.
    pub kernel: Option<Result<NtpStatus, NtpStatusError>>,
    /// What NTP servers say of the time, if some were named.
    pub servers: Option<Compared>,
}

impl Seen {
    /// Watches a clock for `span`, and reads its status at the end.
    #[must_use]
    pub fn of(clock: &Clock, span: Duration) -> Self {
        let began = Instant::now();
        let mut epsilon: Option<(Duration, Duration)> = None;
        loop {
            if let Ok(now) = clock.now() {
                let (least, most) = epsilon.unwrap_or((now.epsilon(), now.epsilon()));
                epsilon = Some((least.min(now.epsilon()), most.max(now.epsilon())));
            }
            let left = span.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        Self {
            span,
            epsilon,
            status: clock.status(),
            kernel: Some(clock.ntp_status()),
            servers: None,
        }
    }
}
