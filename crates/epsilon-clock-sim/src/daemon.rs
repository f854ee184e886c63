//! Time daemons: honest ones, which bound what they cannot know as NTP does, and the liars.

use core::time::Duration;

use crate::axis::Axis;
use crate::kernel::{Adjustment, Kernel, SECOND};
use crate::network::{Server, ns};
use crate::random::Random;
use crate::regression::{Reference, Samples, float, whole};
use crate::update::Update;
use epsilon_clock::machine::NtpStatus;
use epsilon_clock::time::{LeapKind, LeapSecond};

/// chrony leaves the clock alone so near to a leap second (`LEAP_SECOND_CLOSE`).
const LEAP_CLOSE: i64 = 5 * SECOND;
/// Daemons set the leap flag on the day of the leap second.
const LEAP_ANNOUNCED: i64 = 12 * 3600 * SECOND;
/// How long after the leap second the flag stays set.
const LEAP_LINGERS: i64 = 60 * SECOND;
/// ntpd steps what is further off than this (`CLOCK_MAX`).
const NTPD_STEP: i64 = 128_000_000;
/// chrony steps by one call and writes the bound by another.
const BETWEEN_CALLS: i64 = 30_000;
/// Corrections smaller than this are not worth a slew, in ns.
const SMALLEST_SLEW: i64 = 200;
/// The default `minpoll`: shorter ones are the whole of a daemon's polls.
const MIN_POLL: i64 = 64 * SECOND;
/// What a daemon needs at least to measure the oscillator's rate.
const RATE_SPAN: i64 = 60 * SECOND;
/// How many deviations of its estimate a daemon's bound may fall short by (A2).
const DEVIATIONS: i64 = 3;
/// chronyd slews an offset of one deviation in so many halves of the update interval (`corrtimeratio`).
const CORRECTION_HALVES: f64 = 3.0;
/// chronyd's fastest and slowest correction.
const CORRECTION: (f64, f64) = (1e9, 1e13);
/// `leapsecmode step`: how long after midnight the clock is stepped.
const LEAP_STEP_LATE: i64 = 100_000;

/// How a time daemon goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manner {
    /// An ideal chronyd. Slews by tick and frequency; bound: root delay / 2 + root dispersion + what is
    /// left to slew. Each update rests on one exchange and bounds its error for certain; the report is
    /// as narrow as it can be and true.
    Chrony,
    /// chronyd as it is. An update is an estimate: a line through up to 64 samples, those from before a
    /// step by somebody else among them, so that after one its bounds fall short for a few polls. It
    /// writes the line's deviation, or what is left to slew, as `esterror`; its report is a forecast,
    /// whose root dispersion grows by what the line does not know of the rate and 1 ppm.
    Forecasting,
    /// Uses the kernel's PLL; bound: root delay / 2 + root dispersion, beside the pending phase.
    Ntpd,
    /// chrony, but what it writes is as little as assumption A2 lets it: the true error less
    /// `daemon_margin`.
    Grudging,
    /// chrony, but one bound in so many falls short: an eighth of what it should be (breaks A2).
    Careless {
        /// One in how many.
        one_in: u32,
    },
    /// systemd-timesyncd: zero, zero, and the PLL (breaks A2).
    Timesyncd,
    /// ntpd at start with no server in reach: 16 µs once, and nothing ever after (breaks A2).
    NtpdStarting,
    /// ptp4l or openntpd: a zero bound, the estimated error untouched (breaks A2).
    PtpOrOpenntpd,
    /// ntpd-rs: the root delay alone (breaks A2).
    NtpdRs,
    /// busybox ntpd: disciplines the clock and writes no bound.
    Busybox,
}

impl Manner {
    /// Whether what it writes is true up to `daemon_margin` (A2), or refused by everybody. Of
    /// [`Forecasting`](Self::Forecasting), which estimates: up to three deviations more.
    #[must_use]
    pub const fn is_honest(self) -> bool {
        matches!(
            self,
            Self::Chrony | Self::Forecasting | Self::Ntpd | Self::Grudging | Self::Busybox
        )
    }

    const fn uses_pll(self) -> bool {
        matches!(self, Self::Ntpd | Self::Timesyncd | Self::Busybox)
    }
}

/// A time daemon and its settings.
///
/// ```
/// use epsilon_clock_sim::{Daemon, Server};
/// use std::time::Duration;
///
/// let daemon = Daemon { poll: Duration::from_secs(16), ..Daemon::chrony(Server::near()) };
/// assert_eq!(daemon.max_slew_ppb, 83_333_000); // chrony's default `maxslewrate`
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// How it goes about it.
    pub manner: Manner,
    /// Its servers; it starts with the first one.
    pub servers: Vec<Server>,
    /// How often it asks, once the first few exchanges are over.
    pub poll: Duration,
    /// The fastest that it slews, in ppb (`maxslewrate`).
    pub max_slew_ppb: i64,
    /// Within how long it means to have corrected an offset, if it may slew so fast.
    pub correct_within: Duration,
    /// What it steps instead of slewing, in its first three updates (`makestep`).
    pub step_beyond: Option<Duration>,
    /// Whether it clears `STA_UNSYNC` (`rtcsync`).
    pub clears_unsync: bool,
    /// The PLL's time constant, 0 to 10.
    pub constant: i64,
    /// Whether it learns of a leap second from its servers.
    pub hears_of_leap: bool,
    /// Whether it makes a leap second by a step of its own (`leapsecmode step`): 0.1 ms after midnight
    /// the kernel forgets its NTP state, of which nothing was announced, and the next write comes with
    /// the next update. By default the kernel makes it, as a flag tells it to.
    pub steps_leap: bool,
    /// Assumption A2's margin, which [`Manner::Grudging`] uses up.
    pub margin: Duration,
}

impl Daemon {
    /// chrony with its defaults, `makestep 0.1 3` and `rtcsync`, at a poll of 64 s.
    #[must_use]
    pub fn chrony(server: Server) -> Self {
        Self {
            manner: Manner::Chrony,
            servers: vec![server],
            poll: Duration::from_secs(64),
            max_slew_ppb: 83_333_000,
            correct_within: Duration::from_secs(2),
            step_beyond: Some(Duration::from_millis(100)),
            clears_unsync: true,
            constant: 4,
            hears_of_leap: true,
            steps_leap: false,
            margin: Duration::from_micros(200),
        }
    }

    /// The same, but one that estimates and forecasts as the real chronyd does
    /// ([`Manner::Forecasting`]).
    ///
    /// ```
    /// use epsilon_clock::sim::{Daemon, NodeConfig, Server, World};
    /// use std::time::Duration;
    ///
    /// let world = World::new(1);
    /// let node = world.node(NodeConfig::with_daemon(Daemon::forecasting(Server::near())));
    /// world.advance(Duration::from_secs(3600));
    /// // What it writes beside the bound is how sure it is of its own estimate.
    /// let status = node.ntp_status();
    /// assert!(0 < status.esterror && status.esterror < status.maxerror);
    /// ```
    #[must_use]
    pub fn forecasting(server: Server) -> Self {
        Self::of(Manner::Forecasting, server)
    }

    /// ntpd with its defaults, at a poll of 64 s.
    #[must_use]
    pub fn ntpd(server: Server) -> Self {
        Self {
            manner: Manner::Ntpd,
            constant: 6,
            ..Self::chrony(server)
        }
    }

    /// Any of them.
    #[must_use]
    pub fn of(manner: Manner, server: Server) -> Self {
        Self {
            manner,
            ..Self::chrony(server)
        }
    }
}

/// What a daemon will have to do later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errand {
    Poll,
    /// A poll out of turn.
    Extra,
    Reply(Exchange),
    SlewOver(u64),
    WriteBound {
        bound: i64,
    },
    /// A leap second of its own making.
    Leap,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// The daemon's own time when it asked.
    sent: i64,
    /// What the server says.
    stamp: i64,
    server: usize,
    disturbances: u64,
    /// How far the daemon had set its own time by then, in all.
    shifted: i64,
}

/// What a daemon wrote, and how wrong the clock was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) maxerror_us: i64,
    pub(crate) esterror_us: i64,
    pub(crate) error_ns: i64,
    /// By how much A2 was broken, in ns; 0 if it was not.
    pub(crate) short_by_ns: i64,
}

/// What a daemon did.
#[derive(Default)]
pub(crate) struct Reaction {
    pub(crate) later: Vec<(i64, Errand)>,
    pub(crate) wrote: Option<Write>,
}

/// The machine that a daemon runs on.
pub(crate) struct Host<'a> {
    pub(crate) now: i64,
    pub(crate) kernel: &'a mut Kernel,
    pub(crate) axis: &'a Axis,
    pub(crate) random: &'a mut Random,
    /// How far the oscillator can be off: what the daemon's dispersion has to cover.
    pub(crate) oscillator_ppb: i64,
    /// Counts what makes an exchange useless if it happens in the middle of it.
    pub(crate) disturbances: u64,
    /// Somebody else slews the clock.
    pub(crate) rogue: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slew {
    since_raw: i64,
    rate_ppb: i64,
}

/// A time daemon at work.
#[derive(Clone, Debug)]
pub(crate) struct RunningDaemon {
    pub(crate) config: Daemon,
    pub(crate) server: usize,
    base_ppb: i64,
    /// What was left to slew when the slew began.
    rest: i64,
    slew: Option<Slew>,
    slews: u64,
    polls: u32,
    updates: u32,
    /// Since when, in raw time, and by how much in all the clock was found off: measures its rate.
    rate_since: Option<(i64, u64, usize)>,
    rate_sum: i64,
    /// How far it has set its own time so far, in all.
    shifted: i64,
    pub(crate) updated: Option<Update>,
    /// What an estimating daemon's line rests on, and what it made of it last.
    samples: Samples,
    samples_of: usize,
    pub(crate) reference: Option<Reference>,
    /// Within how long it means to have corrected the offset.
    within: i64,
    leap_planned: bool,
}

impl RunningDaemon {
    pub(crate) fn new(config: Daemon) -> Self {
        Self {
            within: ns(config.correct_within).max(1),
            config,
            server: 0,
            base_ppb: 0,
            rest: 0,
            slew: None,
            slews: 0,
            polls: 0,
            updates: 0,
            rate_since: None,
            rate_sum: 0,
            shifted: 0,
            updated: None,
            samples: Samples::new(),
            samples_of: 0,
            reference: None,
            leap_planned: false,
        }
    }

    pub(crate) fn run(&mut self, errand: Errand, host: &mut Host<'_>) -> Reaction {
        let mut reaction = Reaction::default();
        match errand {
            Errand::Poll => self.poll(host, &mut reaction),
            Errand::Extra => self.ask(host, &mut reaction),
            Errand::Reply(exchange) => self.reply(&exchange, host, &mut reaction),
            Errand::SlewOver(which) if which == self.slews => {
                self.rest = self.remaining(host);
                self.start_slew(host, &mut reaction);
            }
            Errand::SlewOver(_) => {}
            Errand::WriteBound { bound } => self.write_bound(bound, host, &mut reaction),
            Errand::Leap => self.leap(host, &mut reaction),
        }
        reaction
    }

    /// Stops in good order.
    pub(crate) fn terminate(&mut self, host: &mut Host<'_>) {
        if !self.config.manner.uses_pll() {
            self.rest = self.remaining(host);
            self.slew = None;
            self.set_rate(host);
        }
    }

    /// The rate by tick and frequency that the daemon means the clock to have, in ppb.
    pub(crate) fn intended_ppb(&self) -> i64 {
        self.base_ppb + self.slew.map_or(0, |slew| slew.rate_ppb)
    }

    /// Its frequency correction, in ppb.
    pub(crate) const fn base_ppb(&self) -> i64 {
        self.base_ppb
    }

    /// Asks another of its servers from now on.
    pub(crate) fn turn_to(&mut self, server: usize) {
        if server < self.config.servers.len() {
            self.server = server;
        }
    }

    // --- asking --------------------------------------------------------------------------------

    fn poll(&mut self, host: &mut Host<'_>, reaction: &mut Reaction) {
        self.polls += 1;
        if self.config.manner == Manner::NtpdStarting {
            if self.polls == 1 {
                let placeholder = Adjustment {
                    status: Some(NtpStatus::STA_PLL),
                    maxerror: Some(16),
                    esterror: Some(16),
                    ..Adjustment::default()
                };
                self.write(&placeholder, host, reaction);
            }
            return;
        }
        // A burst first, then `minpoll`, doubled every few exchanges.
        let poll = match self.polls {
            ..=4 => 2 * SECOND,
            later => ns(self.config.poll).min(MIN_POLL << ((later - 5) / 4).min(20)),
        };
        let unpunctual = poll + host.random.between(-poll / 50, poll / 50 + 1);
        reaction.later.push((host.now + unpunctual, Errand::Poll));
        if self.config.steps_leap && !self.leap_planned && self.leap_due(host).is_some() {
            self.leap_planned = true;
            self.leap(host, reaction);
        }
        self.ask(host, reaction);
    }

    fn ask(&self, host: &mut Host<'_>, reaction: &mut Reaction) {
        let Some(server) = self.config.servers.get(self.server) else {
            return;
        };
        let Some((there, back)) = server.exchange(host.random) else {
            return;
        };
        let exchange = Exchange {
            sent: self.own_time(host),
            stamp: host
                .axis
                .stepped(host.now + there)
                .saturating_add(server.ahead_ns),
            server: self.server,
            disturbances: host.disturbances,
            shifted: self.shifted,
        };
        reaction
            .later
            .push((host.now + there + back, Errand::Reply(exchange)));
    }

    /// Real time with everything that is left to slew already in it.
    pub(crate) fn own_time(&self, host: &Host<'_>) -> i64 {
        host.kernel
            .real(host.now)
            .saturating_add(self.remaining(host))
    }

    pub(crate) fn remaining(&self, host: &Host<'_>) -> i64 {
        let Some(slew) = self.slew else {
            return self.rest;
        };
        let elapsed = i128::from(host.kernel.raw(host.now) - slew.since_raw);
        let slewed = elapsed * i128::from(slew.rate_ppb) / 1_000_000_000;
        self.rest.saturating_sub(i64::try_from(slewed).unwrap_or(0))
    }

    // --- answering -----------------------------------------------------------------------------

    fn reply(&mut self, exchange: &Exchange, host: &mut Host<'_>, reaction: &mut Reaction) {
        let near_leap = host
            .axis
            .since_leap(host.now)
            .is_some_and(|d| d.abs() < LEAP_CLOSE);
        let useless = exchange.disturbances != host.disturbances || host.rogue || near_leap;
        let Some(server) = self.config.servers.get(exchange.server).copied() else {
            return;
        };
        if useless || exchange.server != self.server {
            return;
        }
        let now = self.own_time(host);
        // An update that came in meanwhile set the daemon's own time: as chronyd does, the request's
        // stamp moves with it. (Left alone, a second reply looked as if it had come before its request:
        // no delay, no dispersion, and half of the first correction undone.)
        let sent = exchange
            .sent
            .saturating_add(self.shifted - exchange.shifted);
        let delay = now.saturating_sub(sent).max(0);
        let halfway = sent.saturating_add(delay / 2);
        let offset = exchange.stamp.saturating_sub(halfway);
        // During the exchange the daemon's own time ran this wrong at most.
        let rate = host.oscillator_ppb
            + self.base_ppb.abs()
            + self.pll_ppb(host)
            + self.inherited_ppb(host);
        let dispersion = scaled(delay, rate) + ns(server.root_distance) + 4;
        let bound = delay / 2 + 1 + dispersion;
        if self.config.manner == Manner::Forecasting {
            let distance = ns(server.root_distance);
            self.estimate((offset, delay, distance), host, reaction);
            return;
        }
        self.updates += 1;
        self.learn_rate(offset, host);
        if self.config.manner.uses_pll() {
            self.correct_by_pll(offset, delay, bound, host, reaction);
        } else {
            self.correct_by_slew(offset, bound, host, reaction);
        }
        self.note_update(offset, delay, bound, host);
    }

    /// Takes note of an update for the report about it.
    fn note_update(&mut self, offset: i64, delay: i64, bound: i64, host: &Host<'_>) {
        let raw = host.kernel.raw(host.now);
        let interval = self.updated.map_or(0, |last| raw.saturating_sub(last.raw));
        self.updated = Some(Update {
            raw,
            own_time: self.own_time(host),
            // chronyd knows of none at first, and means to poll again soon.
            interval: interval.max(2 * SECOND),
            ahead: -offset,
            delay,
            bound,
            disturbances: host.disturbances,
        });
    }

    /// Draws a line through its samples and this one, and sets the clock by it.
    fn estimate(
        &mut self,
        (offset, delay, root_distance): (i64, i64, i64),
        host: &mut Host<'_>,
        reaction: &mut Reaction,
    ) {
        let raw = host.kernel.raw(host.now);
        if self.samples_of != self.server {
            self.samples_of = self.server;
            self.samples.forget();
        }
        self.samples
            .add(raw - delay / 2, offset, delay, root_distance);
        let Some(estimate) = self.samples.estimate(raw) else {
            return;
        };
        self.updates += 1;
        let (base, reference) = (self.base_ppb, estimate.reference);
        self.base_ppb = (base + estimate.faster_ppb).clamp(-480_000, 480_000);
        self.samples
            .follow(raw, estimate.behind, self.base_ppb - base);
        self.reference = Some(reference);
        let bound = reference.delay / 2 + reference.dispersion(raw);
        self.note_update(estimate.behind, reference.delay, bound, host);
        self.within = self.correction_time(estimate.behind, host);
        self.correct_by_slew(estimate.behind, bound, host, reaction);
        // By its own clock as it is after the update.
        let own_time = self.own_time(host);
        if let Some(updated) = &mut self.updated {
            updated.own_time = own_time;
        }
    }

    /// Slowly what may be noise, and within a second what is not.
    fn correction_time(&self, offset: i64, host: &Host<'_>) -> i64 {
        let interval = self.updated.map_or(0, |update| update.interval);
        let deviation = self.reference.map_or(0.0, |known| known.deviation);
        let left = self.remaining(host).saturating_add(offset).saturating_abs();
        let halves = CORRECTION_HALVES / 2.0 * deviation;
        let within = halves * float(interval) / float(left.max(1));
        whole(within.clamp(CORRECTION.0, CORRECTION.1))
    }

    /// Leaps by a step once its own clock is past the instant, or plans to.
    fn leap(&mut self, host: &mut Host<'_>, reaction: &mut Reaction) {
        let Some(LeapSecond { boundary, kind }) = host.axis.leap else {
            return;
        };
        let (at, by) = match kind {
            LeapKind::Inserted => (boundary.unix_nanos(), -SECOND),
            LeapKind::Deleted => (boundary.unix_nanos() - SECOND, SECOND),
        };
        let early = at + LEAP_STEP_LATE - self.own_time(host);
        if early > 0 {
            let later = host.now.saturating_add(early);
            reaction.later.push((later, Errand::Leap));
            return;
        }
        host.kernel.step(host.now, by);
        self.shifted = self.shifted.saturating_add(by);
        if let Some(updated) = &mut self.updated {
            updated.own_time = updated.own_time.saturating_add(by);
        }
    }

    /// How fast the PLL slews now, in ppb: the kernel's frequency is the daemon's own.
    fn pll_ppb(&self, host: &Host<'_>) -> i64 {
        if self.config.manner.uses_pll() {
            // It may have turned round in the middle of the exchange.
            2 * host.kernel.phase_slew_ppb().abs() + 2 * host.kernel.pending_phase() / 4
        } else {
            0
        }
    }

    /// How fast the clock was left slewing by a daemon before this one, until this one sets its rate.
    fn inherited_ppb(&self, host: &Host<'_>) -> i64 {
        if self.slews == 0 && !self.config.manner.uses_pll() {
            host.kernel.adjusted_ppb().abs()
        } else {
            0
        }
    }

    /// Moves the frequency correction half way to what the offsets of the last minute suggest.
    fn learn_rate(&mut self, offset: i64, host: &Host<'_>) {
        let raw = host.kernel.raw(host.now);
        let Some((since, disturbances, server)) = self.rate_since else {
            self.rate_since = Some((raw, host.disturbances, self.server));
            self.rate_sum = 0;
            return;
        };
        if disturbances != host.disturbances || server != self.server {
            self.rate_since = None;
            return;
        }
        self.rate_sum += offset;
        let elapsed = raw - since;
        if elapsed < RATE_SPAN {
            return;
        }
        let suggested = i128::from(self.rate_sum) * 1_000_000_000 / i128::from(elapsed);
        let suggested = i64::try_from(suggested)
            .unwrap_or(0)
            .clamp(-100_000, 100_000);
        self.base_ppb = (self.base_ppb + suggested / 2).clamp(-480_000, 480_000);
        self.rate_since = Some((raw, host.disturbances, self.server));
        self.rate_sum = 0;
    }

    fn correct_by_slew(
        &mut self,
        offset: i64,
        bound: i64,
        host: &mut Host<'_>,
        reaction: &mut Reaction,
    ) {
        self.rest = self.remaining(host).saturating_add(offset);
        self.shifted = self.shifted.saturating_add(offset);
        let may_step = self.updates <= 3;
        if self
            .config
            .step_beyond
            .filter(|_| may_step)
            .is_some_and(|d| self.rest.abs() > ns(d))
        {
            let by = self.rest;
            self.rest = 0;
            self.slew = None;
            self.slews += 1;
            self.set_rate(host);
            host.kernel.step(host.now, by);
            reaction
                .later
                .push((host.now + BETWEEN_CALLS, Errand::WriteBound { bound }));
            return;
        }
        self.start_slew(host, reaction);
        self.write_bound(bound, host, reaction);
    }

    /// Slews what is left, from now on.
    fn start_slew(&mut self, host: &mut Host<'_>, reaction: &mut Reaction) {
        self.slews += 1;
        self.slew = None;
        if self.rest.abs() >= SMALLEST_SLEW {
            let wanted = i128::from(self.rest) * 1_000_000_000 / i128::from(self.within);
            let limit = self.config.max_slew_ppb;
            let wanted = i64::try_from(wanted).unwrap_or(limit);
            let rate_ppb = wanted.clamp(-limit, limit);
            if rate_ppb != 0 {
                self.slew = Some(Slew {
                    since_raw: host.kernel.raw(host.now),
                    rate_ppb,
                });
                let lasts = i128::from(self.rest) * 1_000_000_000 / i128::from(rate_ppb);
                let over = host
                    .now
                    .saturating_add(i64::try_from(lasts).unwrap_or(i64::MAX));
                reaction.later.push((over, Errand::SlewOver(self.slews)));
            }
        }
        self.set_rate(host);
    }

    fn set_rate(&self, host: &mut Host<'_>) {
        host.kernel
            .adjust(host.now, &rate_adjustment(self.intended_ppb()));
    }

    fn write_bound(&self, bound: i64, host: &mut Host<'_>, reaction: &mut Reaction) {
        let unsync = if self.config.clears_unsync {
            0
        } else {
            NtpStatus::STA_UNSYNC
        };
        let left = self.remaining(host).abs();
        let bound = bound.saturating_add(left);
        let maxerror = bound / 1_000;
        let (maxerror, esterror) = match self.config.manner {
            Manner::Grudging => {
                let error = true_error(host).abs() - ns(self.config.margin);
                // Truncated to whole µs, as daemons do; a zero would be refused as a liar's.
                let least = (error / 1_000).max(1);
                // A deviation would be charged, and this one leaves out what it can.
                (least, Some(0))
            }
            Manner::Careless { one_in } if host.random.between(0, i64::from(one_in)) == 0 => {
                (maxerror / 8, Some(maxerror / 32))
            }
            Manner::Forecasting => {
                let deviation = self.reference.map_or(0.0, |known| known.deviation);
                (maxerror, Some(whole(deviation).max(left) / 1_000))
            }
            Manner::PtpOrOpenntpd => (0, None),
            // The root delay alone, without the distance of the server and what is left to slew.
            Manner::NtpdRs => (
                maxerror / 10,
                Some(host.random.between(0, maxerror / 10 + 1)),
            ),
            // A network's jitter is a small part of the way to the reference clock.
            _ => (maxerror, Some(maxerror / 64)),
        };
        let adjustment = Adjustment {
            status: Some(unsync | self.leap_flag(host)),
            maxerror: Some(maxerror),
            esterror,
            ..Adjustment::default()
        };
        self.write(&adjustment, host, reaction);
    }

    fn correct_by_pll(
        &mut self,
        offset: i64,
        delay: i64,
        bound: i64,
        host: &mut Host<'_>,
        reaction: &mut Reaction,
    ) {
        let manner = self.config.manner;
        let leap = self.leap_flag(host);
        let step = (offset.abs() > NTPD_STEP).then_some(offset);
        if manner != Manner::Busybox {
            self.shifted = self.shifted.saturating_add(step.unwrap_or(0));
        }
        if manner == Manner::Ntpd && step.is_some() {
            // By itself: the kernel forgets the bound, and the next update writes one.
            host.kernel.step(host.now, offset);
            return;
        }
        let adjustment = Adjustment {
            status: Some(NtpStatus::STA_PLL | leap),
            nano: Some(manner == Manner::Ntpd),
            step: step.filter(|_| manner == Manner::Timesyncd),
            offset: step.is_none().then_some(offset),
            constant: Some(self.config.constant),
            freq: Some(freq_of(self.base_ppb)),
            ..Adjustment::default()
        };
        let adjustment = match manner {
            Manner::Timesyncd => Adjustment {
                maxerror: Some(0),
                esterror: Some(0),
                ..adjustment
            },
            Manner::Busybox => adjustment,
            _ => Adjustment {
                maxerror: Some(bound / 1_000),
                esterror: Some((delay / 8_000).min(bound / 2_000)),
                ..adjustment
            },
        };
        self.write(&adjustment, host, reaction);
    }

    /// The leap second that it says is still to come.
    pub(crate) fn leap_due(&self, host: &Host<'_>) -> Option<LeapKind> {
        let since = host.axis.since_leap(host.now)?;
        let announced = self.config.hears_of_leap && (-LEAP_ANNOUNCED..0).contains(&since);
        host.axis.leap.filter(|_| announced).map(|leap| leap.kind)
    }

    fn leap_flag(&self, host: &Host<'_>) -> i32 {
        let (Some(leap), Some(since)) = (host.axis.leap, host.axis.since_leap(host.now)) else {
            return 0;
        };
        if self.config.steps_leap
            || !self.config.hears_of_leap
            || !(-LEAP_ANNOUNCED..LEAP_LINGERS).contains(&since)
        {
            return 0;
        }
        match leap.kind {
            LeapKind::Inserted => NtpStatus::STA_INS,
            LeapKind::Deleted => NtpStatus::STA_DEL,
        }
    }

    fn write(&self, adjustment: &Adjustment, host: &mut Host<'_>, reaction: &mut Reaction) {
        host.kernel.adjust(host.now, adjustment);
        let Some(maxerror_us) = adjustment.maxerror else {
            return;
        };
        let error_ns = true_error(host);
        let pending = if self.config.manner.uses_pll() {
            host.kernel.pending_phase()
        } else {
            0
        };
        let esterror_us = adjustment.esterror.unwrap_or(0);
        let margin = match self.config.manner {
            Manner::Grudging => ns(self.config.margin),
            Manner::Forecasting => ns(self.config.margin) + DEVIATIONS * esterror_us * 1_000,
            // The others need none: what they write is a bound.
            _ => 0,
        };
        let allowed = maxerror_us * 1_000 + 1_000 + pending + margin;
        reaction.wrote = Some(Write {
            maxerror_us,
            esterror_us,
            error_ns,
            short_by_ns: (error_ns.abs() - allowed).max(0),
        });
    }
}

/// How far real time is from UTC, in ns.
fn true_error(host: &Host<'_>) -> i64 {
    host.kernel
        .real(host.now)
        .saturating_sub(host.axis.stepped(host.now))
}

fn scaled(span: i64, rate_ppb: i64) -> i64 {
    i64::try_from(i128::from(span) * i128::from(rate_ppb) / 1_000_000_000 + 1).unwrap_or(i64::MAX)
}

/// The kernel's unit of frequency, 2⁻¹⁶ ppm.
fn freq_of(ppb: i64) -> i64 {
    ppb.saturating_mul(65_536) / 1_000
}

/// A rate as tick (100 ppm each) and frequency.
pub(crate) fn rate_adjustment(ppb: i64) -> Adjustment {
    let ticks = (ppb + 50_000).div_euclid(100_000).clamp(-1_000, 1_000);
    Adjustment {
        tick: Some(NtpStatus::NOMINAL_TICK + ticks),
        freq: Some(freq_of(ppb - ticks * 100_000)),
        ..Adjustment::default()
    }
}
