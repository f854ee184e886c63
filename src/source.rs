//! Sources of claims: who says how wrong the clock may be.

use core::fmt;
use core::time::Duration;

use crate::machine::{Disturbance, Machine, NtpStatus};
use crate::time::{Claim, DEFAULT_MAX_DRIFT_PPB, ErrorBound, LeapSecond, RateBounds};
use crate::words::words_struct;

pub(crate) mod chrony;
mod kernel;
pub mod ntp;
mod phc;
mod refusal;

pub use crate::words::{WordReader, WordWriter, Words};
pub use chrony::{ChronyRefusal, ChronySource, ChronyTransport};
pub use kernel::KernelSource;
pub use ntp::{NtpRefusal, NtpServer, NtpSource};
pub use phc::{PhcDevice, PhcReading, PhcRefusal, PhcSource};
pub use refusal::{Awaiting, Refusal, Writer};

/// Default of `daemon_margin`: chrony's dispersion is a statistical figure; recorded runs exceeded
/// it by up to 0.6 % of samples under extreme wander, never by more than this.
pub(crate) const DEFAULT_DAEMON_MARGIN: Duration = Duration::from_micros(200);

/// Default of `report_wander_ppb`: 15 ppm, NTP's own allowance for an uncorrected clock (PHI
/// in RFC 5905, section 7.2).
pub(crate) const DEFAULT_REPORT_WANDER_PPB: u32 = 15_000;

/// Says where UTC is, at a look: the kernel's NTP status, a time daemon, a test's script.
///
/// A source is asked by a *look*, never on the hot path. It keeps nothing in itself: what it wants
/// to remember until the next look it writes into [`SourceMemory`], which the clock publishes
/// together with the claim, or drops if another look was faster. So a looker that is stopped or
/// killed in the middle leaves no half-written state behind.
pub trait Source: fmt::Debug + Send + Sync {
    /// Returns a short name for status and errors, such as `kernel`.
    fn name(&self) -> &'static str;

    /// Looks once: what is there to say now, given what was remembered of the last look?
    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look;

    /// Returns how often to call [`refresh`](Self::refresh), if there is a daemon to ask; by default
    /// there is none.
    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    /// Asks the daemon behind the source, and keeps the answer for the next look; may wait for it.
    ///
    /// A look must not wait, since it happens in a thread that reads the clock. So a clock has a
    /// thread of its own for this, unless its policy is
    /// [`RefreshPolicy::Manual`](crate::clock::RefreshPolicy::Manual); see
    /// [`Clock::refresh`](crate::Clock::refresh).
    fn refresh(&self, machine: &dyn Machine) {
        let _ = machine;
    }

    /// Checks that the source can serve on this machine, set up as it is; by default it can.
    ///
    /// # Errors
    ///
    /// What is wrong with its settings or the machine; it becomes
    /// [`BuildError::Source`](crate::BuildError::Source).
    fn check(
        &self,
        machine: &dyn Machine,
    ) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
        let _ = machine;
        Ok(())
    }

    /// Returns true if its looks ask the kernel for its NTP status; by default they do not.
    ///
    /// Beside such a source others may ask as well; without one, no clock makes that system call.
    fn asks_kernel(&self) -> bool {
        false
    }

    /// Returns true if its looks notice an unannounced leap second that has taken place, and say
    /// [`LeapNotice::Passed`]; by default they do not.
    ///
    /// A jump of one second around a midnight may be a leap second. A look of such a source that says
    /// nothing of one says that there was none; a look of any other says nothing either way.
    fn tells_of_leaps(&self) -> bool {
        false
    }

    /// Returns true if it repeats what the time daemon says that disciplines this machine's clock; by
    /// default it does not.
    ///
    /// Sources that do learn the oscillator's rate from each other's writes. Any other learns from its own
    /// alone, so that what it assumes is added to no other source's claims.
    fn follows_daemon(&self) -> bool {
        false
    }

    /// Returns true if, on a machine whose clocks do not tell a suspend from a step
    /// ([`Machine::tells_suspends`]), a step is to be taken for a suspend; by default it is not.
    ///
    /// A step then ends every claim of the clock, as a suspend does.
    fn takes_steps_for_suspends(&self) -> bool {
        false
    }

    /// Returns its role among other sources: [`Role::Judge`] by default.
    ///
    /// It follows from how the source was set up and never changes. A source that does not vouch now
    /// has no say, whatever its role.
    fn role(&self) -> Role {
        Role::Judge
    }

    /// Returns what it is refused with as a helper that is so many µs off what a judge vouches for, or off
    /// what it said itself; by default [`NtpRefusal::Contradicts`], whose text speaks of servers.
    fn overruled(&self, by_us: i64) -> Refusal {
        NtpRefusal::Contradicts { by_us }.into()
    }
}

/// What a source may do to the claims of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Its claims stand against any other's: two judges that exclude each other end all intervals.
    ///
    /// For a source that no single liar behind it can make false, or that its user trusts as much as
    /// the machine's time daemon.
    #[default]
    Judge,
    /// It serves while no judge does, and is refused where it contradicts one.
    ///
    /// For a source that one liar can make false: with a veto, that liar could end the intervals of
    /// a machine that was well before the source was added.
    Helper,
}

/// What a source is told when it is asked to look.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LookContext<'a> {
    /// The machine whose clocks are meant.
    pub machine: &'a dyn Machine,
    /// Assumption A1: how far true time may run from raw time, in ppb.
    pub max_drift_ppb: u32,
    /// What the clock has learned of the oscillator's rate from this source's writes, as far as it is in
    /// force at this look: at most ±[`max_drift_ppb`](Self::max_drift_ppb).
    ///
    /// Assumed of the last 2000 s before it was learned and of what follows (A1), of nothing earlier.
    pub rate: RateBounds,
    /// Changes whenever what was learned was forgotten.
    ///
    /// What a source carries from before that is to be carried at ±[`max_drift_ppb`](Self::max_drift_ppb).
    pub rate_serial: u64,
    /// The claim that the clock answers from, if it answers, whichever source it is of.
    pub in_force: Option<&'a Claim>,
    /// Assumption A2: how much a daemon's own figure may fall short.
    pub daemon_margin: Duration,
    /// Assumption A2: how fast an oscillator may wander from a daemon's forecast, in ppb.
    pub report_wander_ppb: u32,
    /// Whether the kernel may be asked for its NTP status: only beside a source that asks anyway.
    ///
    /// A filter may *kill* a process for the call, so a clock without such a source never makes it.
    pub may_ask_kernel: bool,
    /// Whether a bound counts although the kernel flags its clock as unsynchronised.
    pub accept_unsync_flag: bool,
    /// Whether a bound that was there before the first look may be taken over (assumption A4).
    /// `false` once the clock was disturbed: then only a later write counts.
    pub may_inherit: bool,
    /// The least that a comparison of the machine's clocks takes ([`Machine::sandwich`]), measured when
    /// the clock was built; zero where it was not.
    pub reading_cost: Duration,
}

impl<'a> LookContext<'a> {
    /// Returns the kernel's NTP status, where it may be asked and answers.
    pub(crate) fn kernel_status(&self) -> Option<NtpStatus> {
        if self.may_ask_kernel {
            self.machine.ntp_status().ok()
        } else {
            None
        }
    }

    /// Creates a context with the crate's defaults, in which a first look may inherit.
    #[must_use]
    pub const fn new(machine: &'a dyn Machine) -> Self {
        Self {
            machine,
            max_drift_ppb: DEFAULT_MAX_DRIFT_PPB,
            rate: RateBounds::symmetric(DEFAULT_MAX_DRIFT_PPB),
            rate_serial: 0,
            in_force: None,
            daemon_margin: DEFAULT_DAEMON_MARGIN,
            report_wander_ppb: DEFAULT_REPORT_WANDER_PPB,
            may_ask_kernel: true,
            accept_unsync_flag: false,
            may_inherit: true,
            reading_cost: Duration::ZERO,
        }
    }
}

/// What a source found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The finding itself.
    pub finding: Finding,
    /// What the source knows of leap seconds.
    pub leap: LeapNotice,
    /// Whether a write only repeats an update that was told of before.
    ///
    /// A report of chronyd is a claim anew, but rests on the same samples until its next update. After a
    /// step out of the interval only updates count.
    pub repeats_update: bool,
    /// The claim that was refused because it may come of a writer without a bound, if an honest one wrote it.
    ///
    /// Nothing is answered from it. What [`assume_error`](crate::ClockBuilder::assume_error) vouches for serves
    /// at once if this lies within it, as it is then true whichever daemon wrote.
    pub doubtful: Option<Claim>,
}

impl Look {
    /// Creates a look that found this, with no leap second in sight.
    #[must_use]
    pub const fn new(finding: Finding) -> Self {
        Self {
            finding,
            leap: LeapNotice::None,
            repeats_update: false,
            doubtful: None,
        }
    }

    /// Returns the look with what the source knows of leap seconds.
    #[must_use]
    pub const fn with_leap(self, leap: LeapNotice) -> Self {
        Self { leap, ..self }
    }
}

/// The outcome of one look at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The source vouched anew since the last look.
    Write(SyncClaim),
    /// The source vouched at some time before the first look (assumption A4).
    Inherited(SyncClaim),
    /// The source stands by what it said before.
    Nothing,
    /// The source does not vouch now; an earlier claim may be carried on.
    Refused(Refusal),
    /// The look itself came to nothing and is not to be remembered.
    Unsettled,
    /// The source found out what the machine's clocks hide: nothing from before this look counts.
    ///
    /// It voids the source's own claims. A [`Role::Judge`]'s says as much of every other claim,
    /// since all of them are carried along one raw time.
    Void(Disturbance),
}

/// A claim fresh from its source, with what its width is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncClaim {
    /// The claim.
    pub claim: Claim,
    /// The terms of half its width.
    pub bound: ErrorBound,
}

words_struct!(SyncClaim { claim, bound });

/// What a source knows of leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeapNotice {
    /// None is due.
    #[default]
    None,
    /// One is due at the coming boundary.
    Pending(LeapSecond),
    /// One took place since the last look.
    Passed(LeapSecond),
}

/// What a source remembers from one look to the next: one value of a few words, none at first.
///
/// The clock publishes it together with what the look found, and forgets it when the machine was
/// suspended or otherwise disturbed.
///
/// ```
/// use epsilon_clock::Timestamp;
/// use epsilon_clock::source::SourceMemory;
///
/// let mut memory = SourceMemory::default();
/// assert_eq!(memory.load::<(i64, Timestamp)>(), None); // a first look
/// memory.store(&(42_i64, Timestamp::UNIX_EPOCH));
/// assert_eq!(memory.load(), Some((42_i64, Timestamp::UNIX_EPOCH)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceMemory {
    stored: bool,
    words: [i64; SourceMemory::WORDS],
}

words_struct!(SourceMemory { stored, words });

impl SourceMemory {
    /// How many words a value may fill: see [`Words::WORDS`].
    pub const WORDS: usize = 24;

    /// Nothing remembered.
    pub(crate) const EMPTY: Self = Self {
        stored: false,
        words: [0; Self::WORDS],
    };

    /// Returns the value that was stored last.
    ///
    /// `None` where nothing was stored since the clock was built or disturbed, or where what was
    /// stored is no `T`.
    #[must_use]
    pub fn load<T: Words>(&self) -> Option<T> {
        if self.stored {
            WordReader::new(&self.words).take()
        } else {
            None
        }
    }

    /// Remembers a value in the place of the one before.
    ///
    /// A value of more than [`WORDS`](Self::WORDS) words does not compile:
    ///
    /// ```compile_fail
    /// # use epsilon_clock::source::SourceMemory;
    /// SourceMemory::default().store(&[0_i64; SourceMemory::WORDS + 1]);
    /// ```
    pub fn store<T: Words>(&mut self, value: &T) {
        const {
            assert!(
                T::WORDS <= Self::WORDS,
                "a source's memory has no room for this"
            );
        }
        *self = Self {
            stored: true,
            ..Self::EMPTY
        };
        WordWriter::new(&mut self.words).put(value);
    }
}
