//! The kernel's side of a scripted machine: `maxerror` that grows, and leap seconds.

use crate::machine::NtpStatus;
use crate::time::LeapKind;

const SECONDS_A_DAY: i64 = 86_400;

/// What the kernel adds to `maxerror` each second, in µs.
const GROWTH_US: i64 = 500;

/// The NTP state of a kernel, and what each second does to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub(super) status: NtpStatus,
    /// Leap state 0 to 4, which `TIME_ERROR` hides in a reply.
    leap_state: i32,
    /// The second at which the kernel leaps.
    leap_at: i64,
    /// `status.state` was set by hand and is to be replied as it stands.
    verbatim: bool,
    grows: bool,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self {
            status: NtpStatus::default(),
            leap_state: NtpStatus::TIME_OK,
            leap_at: i64::MAX,
            verbatim: false,
            grows: true,
        }
    }

    /// Returns what a call of `adjtimex` answers.
    pub(super) const fn reply(&self) -> NtpStatus {
        // `TIME_ERROR` masks the leap state, as in Linux.
        let state = if self.verbatim {
            self.status.state
        } else if self.status.has(NtpStatus::STA_UNSYNC) {
            NtpStatus::TIME_ERROR
        } else {
            self.leap_state
        };
        NtpStatus {
            state,
            ..self.status
        }
    }

    pub(super) const fn set(&mut self, status: NtpStatus) {
        self.status = status;
        self.verbatim = true;
    }

    /// Lets the kernel reply its leap state again, after a write.
    pub(super) const fn written(&mut self) {
        self.verbatim = false;
    }

    pub(super) const fn stop_growth(&mut self) {
        self.grows = false;
    }

    /// Forgets what was known of the error, as setting the date does.
    pub(super) const fn clear(&mut self) {
        self.status.maxerror = NtpStatus::MAXERROR_CAP;
        self.status.esterror = NtpStatus::MAXERROR_CAP;
        self.status.status |= NtpStatus::STA_UNSYNC;
        // What was left to slew belonged to the time that was overwritten.
        self.status.offset = 0;
        self.leap_state = NtpStatus::TIME_OK;
        self.leap_at = i64::MAX;
        self.verbatim = false;
    }

    pub(super) const fn flag_leap(&mut self, kind: Option<LeapKind>) {
        self.status.status &= !(NtpStatus::STA_INS | NtpStatus::STA_DEL);
        self.status.status |= match kind {
            None => 0,
            Some(LeapKind::Inserted) => NtpStatus::STA_INS,
            Some(LeapKind::Deleted) => NtpStatus::STA_DEL,
        };
        self.verbatim = false;
    }

    /// Begins a second of real time; returns by how many it leaps.
    ///
    /// `second` is its number by the kernel's count.
    pub(super) fn second(&mut self, second: i64) -> i64 {
        // 500 µs at every second, capped at 16 s, whatever daemon wrote last: so Linux grows it.
        if self.grows {
            let grown = self.status.maxerror.saturating_add(GROWTH_US);
            self.status.maxerror = grown.min(NtpStatus::MAXERROR_CAP);
            if grown > NtpStatus::MAXERROR_CAP {
                self.status.status |= NtpStatus::STA_UNSYNC;
            }
        }
        let inserts = self.status.has(NtpStatus::STA_INS);
        let deletes = self.status.has(NtpStatus::STA_DEL);
        let midnight = second - second.rem_euclid(SECONDS_A_DAY) + SECONDS_A_DAY;
        match self.leap_state {
            // The flag arms the leap at the next second, and it strikes at the end of the day.
            NtpStatus::TIME_OK if inserts => {
                self.leap_state = NtpStatus::TIME_INS;
                self.leap_at = midnight;
            }
            NtpStatus::TIME_OK if deletes => {
                self.leap_state = NtpStatus::TIME_DEL;
                self.leap_at = midnight - 1;
            }
            NtpStatus::TIME_INS if !inserts => self.leap_state = NtpStatus::TIME_OK,
            NtpStatus::TIME_DEL if !deletes => self.leap_state = NtpStatus::TIME_OK,
            NtpStatus::TIME_INS if second == self.leap_at => {
                self.leap_state = NtpStatus::TIME_OOP;
                self.status.tai = self.status.tai.saturating_add(1);
                return -1;
            }
            NtpStatus::TIME_DEL if second == self.leap_at => {
                self.leap_state = NtpStatus::TIME_WAIT;
                self.status.tai = self.status.tai.saturating_sub(1);
                return 1;
            }
            NtpStatus::TIME_OOP => self.leap_state = NtpStatus::TIME_WAIT,
            // Until the daemon takes the flag back: an old flag must not leap twice.
            NtpStatus::TIME_WAIT if !inserts && !deletes => self.leap_state = NtpStatus::TIME_OK,
            _ => {}
        }
        0
    }
}
