//! NTP servers as a source of claims: an honest interval where no daemon vouches for one.
//!
//! Each exchange with a server is a proof: when its reply has come in, UTC lies between what the
//! server said less what it may be off, and that plus the round trip. Several servers are combined by
//! [`agreement`](crate::fleet::agreement), and those that are false are named.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use super::{Look, LookContext, Role, Source, SourceMemory};
use crate::machine::Machine;

mod bucket;
mod cookie;
mod exchange;
mod judgement;
mod leap;
mod mailbox;
mod memory;
mod names;
#[cfg(feature = "nts")]
mod nts;
mod packet;
#[cfg(feature = "test-util")]
mod probe;
mod proof;
mod refusal;
mod schedule;
mod scrutiny;
mod server;
mod settings;
mod stamp;
mod status;
mod timescale;
mod udp;
#[cfg(test)]
mod world;

pub use bucket::Budget;
pub use exchange::{Channel, Transport};
use judgement::Rules;
use mailbox::{Limits, Mailbox};
use memory::MAX_SERVERS;
#[cfg(all(feature = "nts", feature = "test-util"))]
pub use nts::{opens_as_reply, reads_as_key_exchange};
pub use packet::Reply;
#[cfg(feature = "test-util")]
pub use probe::probe;
pub use refusal::{NtpRefusal, NtsRefusal};
use settings::Votes;
pub use settings::{NtpServer, NtpSettingsError};
pub use stamp::Stamp;
pub use status::{NtpServerState, NtpServerStatus};

/// What a server's own figure may fall short by: as much as `daemon_margin` allows a local daemon.
const DEFAULT_MARGIN: Duration = Duration::from_micros(200);

/// How far a server may be off, by what it says. RFC 5905 allows 16 s, which sorts out nothing;
/// ntpd 1.5 s (`tos maxdist`).
const DEFAULT_MAX_ROOT_DISTANCE: Duration = Duration::from_millis(1_500);

/// How often it is seen whose turn it is; each server has an interval of its own, and where one is short
/// it is seen four times in it.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// NTP servers as a [`Source`]: asks them itself, from raw time, without root, and sets no clock.
///
/// For hosts where no daemon reports an honest bound: systemd-timesyncd, containers, ntpd-rs. Where
/// chronyd runs its own report is ten times narrower: [`ChronySource`](super::ChronySource).
///
/// There are no default servers: name your own, your provider's, or some of the pool's as its terms
/// allow. With one or two each has to be true; with three, one may be false, and is named.
///
/// ```no_run
/// use epsilon_clock::Clock;
/// use epsilon_clock::source::{NtpServer, NtpSource};
/// use std::time::Duration;
///
/// let clock = Clock::builder()
///     .source(
///         NtpSource::new()
///             .server("ntp1.example.net")?
///             .server("ntp2.example.net:123")?
///             .server(NtpServer::at("192.0.2.1:123".parse()?).own())?
///             .max_faulty(1),
///     )
///     .build()?;
/// clock.wait_until_synchronized(Duration::from_secs(10))?;
/// println!("UTC lies in {}", clock.now()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is assumed
///
/// - **N1, server distance.** Each server that is counted as true was, when it sent its reply, no
///   further from UTC than it says (root delay, root dispersion, precision), plus
///   [`margin`](Self::margin) and [`wander_ppb`](NtpServer::wander_ppb) since its last correction,
///   and did not send the reply before that, to its precision. This speaks of the host that
///   answered: a middlebox that answers for a server is the server.
/// - **N2, rate.** A1 over the round trip, and while an exchange is carried on.
/// - **N3, few liars.** At any instant at most [`max_faulty`](Self::max_faulty) of the named servers
///   have a false exchange in memory (the last eight, up to 2000 s old). A forged or redirected reply
///   is a false one: no host on the path, nor the resolver, forges more than that many.
/// - **N4, raw time counts.** A3 between request and reply, and after.
/// - **N5, one timescale.** A5, for all servers and all clocks that are compared; an announced leap
///   second takes place.
/// - **N6, chance.** The operating system's random bits are not guessed.
///
/// Delay, loss, asymmetry, queues, duplicated or reordered packets, steps and slews of a server that
/// says so in its root distance, and the silence of any set of servers need no assumption: they widen
/// the interval or end it, and never make it false.
///
/// # What is not believed
///
/// See [`NtpRefusal`].
///
/// # How often servers are asked
///
/// Four times at first, two seconds apart, then once an interval: 64 s, doubled up to 1024 s while a
/// claim grows by no more than its own half width. A server is never sent more than four requests and
/// one more each 64 s, by all clocks of a process together; one's [own](NtpServer::own) each second.
#[derive(Clone)]
pub struct NtpSource {
    servers: Vec<NtpServer>,
    max_faulty: Option<usize>,
    margin: Duration,
    max_root_distance: Duration,
    mixed_timescales: bool,
    veto: Veto,
    is_manual: bool,
    never_suspended: bool,
    transport: Arc<dyn Transport>,
    mailbox: Arc<Mailbox>,
}

/// Whether the source may stand against others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Veto {
    /// Where more servers would have to lie than is allowed for.
    IfOutvotable,
    Always,
    Never,
}

impl NtpSource {
    /// Makes a source without servers, which is refused when a clock is built with it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            servers: Vec::new(),
            max_faulty: None,
            margin: DEFAULT_MARGIN,
            max_root_distance: DEFAULT_MAX_ROOT_DISTANCE,
            mixed_timescales: false,
            veto: Veto::IfOutvotable,
            is_manual: false,
            never_suspended: false,
            transport: Arc::new(udp::Udp),
            mailbox: Arc::default(),
        }
    }

    /// Adds a server, up to eight: a name or an address as text, or an [`NtpServer`].
    ///
    /// A name is one server with one vote, however many addresses it has; it is resolved by a thread
    /// of its own, and one address is kept while it answers.
    ///
    /// # Errors
    ///
    /// [`NtpSettingsError`] if the text names no host, or the settings of the server exclude each
    /// other.
    pub fn server<S>(mut self, server: S) -> Result<Self, NtpSettingsError>
    where
        S: TryInto<NtpServer>,
        NtpSettingsError: From<S::Error>,
    {
        let server = server.try_into()?;
        server.check()?;
        self.servers.push(server);
        self.mailbox = Arc::default();
        Ok(self)
    }

    /// Sets how many of the named servers may be false at once (N3).
    ///
    /// By default the largest number below half of them: 0 of one or two, 1 of three or four. Half or
    /// more is refused when a clock is built. A larger number only widens intervals.
    #[must_use]
    pub const fn max_faulty(mut self, max_faulty: usize) -> Self {
        self.max_faulty = Some(max_faulty);
        self
    }

    /// Lets the source stand against others even where one server's lie can make it false.
    ///
    /// For those who trust one server of their own more than the host's daemon.
    #[must_use]
    pub const fn guard(mut self) -> Self {
        self.veto = Veto::Always;
        self
    }

    /// Keeps the source from standing against others: it serves where they do not, no more.
    ///
    /// For hosts whose chronyd authenticates its servers while these here are asked in plain NTP,
    /// which an attacker at the gateway can forge all at once.
    #[must_use]
    pub const fn never_vetoes(mut self) -> Self {
        self.veto = Veto::Never;
        self
    }

    /// Sets what a server's own figure may fall short by, up to a second; by default 200 µs.
    #[must_use]
    pub const fn margin(mut self, margin: Duration) -> Self {
        let second = Duration::from_secs(1);
        self.margin = if margin.as_nanos() > second.as_nanos() {
            second
        } else {
            margin
        };
        self
    }

    /// Sets how far a server may be off, all margins included, to be believed; by default 1.5 s.
    #[must_use]
    pub const fn max_root_distance(mut self, distance: Duration) -> Self {
        self.max_root_distance = distance;
        self
    }

    /// Accepts servers of which some are known to smear leap seconds and some to step.
    ///
    /// They are up to a second apart around one, and the fewer are then taken for false.
    #[must_use]
    pub const fn allow_mixed_timescales(mut self) -> Self {
        self.mixed_timescales = true;
        self
    }

    /// Vouches that the machine never sleeps, where its clocks do not tell a suspend from a step.
    ///
    /// On such a machine the source is refused otherwise, since a sleep would leave its claims in force; see
    /// [`Machine::tells_suspends`]. With this, every claim of the clock is void
    /// ([`Disturbance::Suspended`](crate::Disturbance::Suspended)) as soon as the machine's clock is seen to
    /// have moved against raw time by more than 500 ppm of what passed: that may have been a step, and may
    /// have been a sleep after all. It guards against the rare sleep, at a price: each step ends the
    /// interval until servers answer again. A sleep shorter than 500 ppm of the time since clocks were last
    /// compared is not seen, nor raw time that is slewed. Without effect where suspends can be told.
    #[must_use]
    pub const fn assume_never_suspended(mut self) -> Self {
        self.never_suspended = true;
        self
    }

    /// Leaves asking to [`Clock::refresh`](crate::Clock::refresh), whatever the clock's policy.
    #[must_use]
    pub const fn manual(mut self) -> Self {
        self.is_manual = true;
        self
    }

    /// Asks by other means than UDP: a simulated world that plays servers.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = transport;
        self.mailbox = Arc::default();
        self
    }

    /// Returns the standing of each server as of the last look, in the order in which they were
    /// named; empty before the first one.
    #[must_use]
    pub fn servers(&self) -> Vec<NtpServerStatus> {
        self.mailbox.report()
    }

    fn may_serve_on(&self, machine: &dyn Machine) -> bool {
        self.never_suspended || machine.tells_suspends()
    }

    fn rules(&self) -> Rules {
        let votes = Votes::of(&self.servers);
        Rules {
            max_faulty: self.max_faulty.unwrap_or(votes.default_faulty()),
            votes,
            margin_ns: nanos(self.margin),
        }
    }

    fn check_settings(&self) -> Result<(), NtpSettingsError> {
        let given = self.servers.len();
        if given == 0 {
            return Err(NtpSettingsError::NoServer);
        }
        if given > MAX_SERVERS {
            return Err(NtpSettingsError::TooManyServers {
                given,
                limit: MAX_SERVERS,
            });
        }
        let rules = self.rules();
        let votes = rules.votes.count;
        if rules.max_faulty >= votes.div_ceil(2) {
            return Err(NtpSettingsError::TooManyFaulty {
                max_faulty: rules.max_faulty,
                votes,
            });
        }
        let mut timescales = self.servers.iter().map(|server| server.timescale);
        let first = timescales.next();
        if !self.mixed_timescales && timescales.any(|other| Some(other) != first) {
            return Err(NtpSettingsError::MixedTimescales);
        }
        Ok(())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for NtpSource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NtpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtpSource")
            .field("servers", &self.servers)
            .field("max_faulty", &self.max_faulty)
            .field("veto", &self.veto)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Source for NtpSource {
    fn name(&self) -> &'static str {
        "ntp"
    }

    fn check(&self, machine: &dyn Machine) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.check_settings()?;
        if !self.may_serve_on(machine) {
            return Err(NtpSettingsError::NoSuspendClock.into());
        }
        Ok(())
    }

    fn look(&self, context: &LookContext<'_>, memory: &mut SourceMemory) -> Look {
        if !self.may_serve_on(context.machine) {
            return Look::new(judgement::refused(NtpRefusal::NoSuspendClock));
        }
        judgement::look(context, memory, &self.mailbox, &self.rules(), &self.servers)
    }

    fn refresh_interval(&self) -> Option<Duration> {
        let shortest = self.servers.iter().map(NtpServer::shortest_interval).min();
        let tick = shortest.map_or(LONGEST_TICK, |shortest| (shortest / 4).min(LONGEST_TICK));
        (!self.is_manual).then_some(tick)
    }

    fn refresh(&self, machine: &dyn Machine) {
        if !self.may_serve_on(machine) {
            return;
        }
        let limits = Limits {
            margin_ns: nanos(self.margin),
            max_distance_ns: nanos(self.max_root_distance),
        };
        self.mailbox
            .refresh(&self.servers, limits, &self.transport, machine);
    }

    fn takes_steps_for_suspends(&self) -> bool {
        self.never_suspended
    }

    /// A reply announces a leap second, and is silent about one that is over.
    fn tells_of_leaps(&self) -> bool {
        false
    }

    /// A judge where more than one server would have to lie to make the source false, or where
    /// [`guard`](Self::guard) says so.
    fn role(&self) -> Role {
        match self.veto {
            Veto::IfOutvotable if self.rules().max_faulty >= 1 => Role::Judge,
            Veto::Always => Role::Judge,
            Veto::IfOutvotable | Veto::Never => Role::Helper,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::world::{Answer, Behaviour, SECOND, World};
    use super::*;
    use crate::source::{Finding, Refusal};

    const MS: i64 = 1_000_000;

    fn address(index: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 10 + index], 123))
    }

    fn source(world: &World, servers: u8) -> NtpSource {
        let transport: Arc<dyn Transport> = Arc::new(world.clone());
        (0..servers).fold(NtpSource::new().transport(transport), |source, index| {
            source.server(address(index)).unwrap()
        })
    }

    /// A clock's part: refreshes each second, and looks.
    struct Looker<'a> {
        world: &'a World,
        source: NtpSource,
        memory: SourceMemory,
        may_inherit: bool,
    }

    impl<'a> Looker<'a> {
        fn new(world: &'a World, source: NtpSource) -> Self {
            Self {
                world,
                source,
                memory: SourceMemory::default(),
                may_inherit: true,
            }
        }

        fn void(&mut self) {
            self.memory = SourceMemory::default();
            self.may_inherit = false;
        }

        /// A second later; a claim that is made must be true.
        fn tick(&mut self) -> Finding {
            self.world.advance(SECOND);
            self.look()
        }

        fn look(&mut self) -> Finding {
            self.source.refresh(self.world);
            let context = LookContext {
                may_inherit: self.may_inherit,
                ..LookContext::new(self.world)
            };
            self.source.look(&context, &mut self.memory).finding
        }

        fn is_true(&self, finding: &Finding) -> bool {
            let Finding::Write(sync) = finding else {
                return true;
            };
            let raw = self.world.sample().raw;
            sync.claim.carry(raw).unwrap().contains(self.world.truth())
        }

        /// Ticks until a claim is made, at most so often.
        fn until_written(&mut self, ticks: usize) -> Option<usize> {
            (1..=ticks).find(|_| {
                let finding = self.tick();
                assert!(self.is_true(&finding), "{finding:?}");
                matches!(finding, Finding::Write(_))
            })
        }
    }

    #[test]
    fn three_honest_servers_make_a_claim_within_ten_seconds() {
        let world = World::new(150_000);
        let servers = source(&world, 3);
        for index in 0..3 {
            world.set(address(index), Behaviour::HONEST);
        }
        let mut looker = Looker::new(&world, servers.clone());
        assert_eq!(
            looker.tick(),
            Finding::Refused(Refusal::Ntp(NtpRefusal::NoAnswer))
        );
        assert!(looker.until_written(10).is_some());
        let states: Vec<_> = servers.servers().iter().map(|s| s.state).collect();
        assert!(states.contains(&NtpServerState::Agreeing), "{states:?}");
    }

    #[test]
    fn a_liar_is_named_and_by_how_much() {
        let world = World::new(-150_000);
        let servers = source(&world, 3);
        for index in 0..3 {
            world.set(address(index), Behaviour::HONEST);
        }
        let lie = 200 * MS;
        let liar = Behaviour {
            off_received: lie,
            off_sent: lie,
            ..Behaviour::HONEST
        };
        world.set(address(1), liar);
        let mut looker = Looker::new(&world, servers.clone());
        looker.until_written(10).unwrap();
        while looker.tick() != Finding::Nothing {}
        let status = servers.servers();
        let NtpServerState::Falseticker(found) = status[1].state else {
            panic!("{status:?}")
        };
        assert_eq!(found.direction, crate::time::Direction::Ahead);
        assert!(found.by > Duration::from_millis(150) && found.by < Duration::from_millis(200));
        assert_eq!(status[0].state, NtpServerState::Agreeing);
    }

    /// P6: by the whole source, over voids, several clocks, a crash loop, kisses and disagreement: ten
    /// clocks, each of which is voided each minute, one of which is built anew each five seconds. Two
    /// hours of it, and 24 with `EPSILON_CLOCK_LONG=1`.
    #[test]
    fn p6_no_server_is_asked_beyond_the_budget() {
        let long = std::env::var_os("EPSILON_CLOCK_LONG").is_some_and(|value| value == "1");
        let hours = if long { 24 } else { 2 };
        let world = World::new(0);
        let off = |index: u8, answer: Answer| {
            let lie = i64::from(index) * 300 * MS;
            Behaviour {
                off_received: lie,
                off_sent: lie,
                answer,
                ..Behaviour::HONEST
            }
        };
        for index in 0..4 {
            world.set(address(index), off(index, Answer::Time));
        }
        let mut lookers: Vec<_> = (0..10)
            .map(|_| Looker::new(&world, source(&world, 4)))
            .collect();
        for second in 0..hours * 3_600 {
            match second % 1_800 {
                300 => world.set(address(0), off(0, Answer::Kiss(*b"RATE"))),
                600 => world.set(address(1), off(1, Answer::Kiss(*b"DENY"))),
                900 => world.set(address(2), off(2, Answer::Silence)),
                1_200 => (0..4).for_each(|index| world.set(address(index), off(0, Answer::Time))),
                _ => {}
            }
            world.advance(SECOND);
            for (index, looker) in lookers.iter_mut().enumerate() {
                if second % 60 == 6 * index {
                    looker.void();
                }
                let _ = looker.look();
            }
            if second % 5 == 0 {
                lookers[0] = Looker::new(&world, source(&world, 4));
            }
            world.lock().forget_reads();
        }
        let asked = world.lock().asked.clone();
        for index in 0..4 {
            let times: Vec<i64> = asked
                .iter()
                .filter(|(_, server)| *server == address(index))
                .map(|(at, _)| *at)
                .collect();
            // The crash loop uses up what there is.
            assert!(times.len() > 50 * hours, "{}", times.len());
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let requests = i64::try_from(last - first + 1).unwrap();
                    // A little of raw time passes between the token and the datagram.
                    let tokens = bucket::TOKENS + (to - from + SECOND) / bucket::TOKEN_EVERY;
                    assert!(requests <= tokens, "{requests} of {tokens}");
                }
            }
        }
    }

    fn any_answer() -> impl Strategy<Value = Behaviour> {
        let answer = prop_oneof![
            Just(Answer::Time),
            Just(Answer::Time),
            Just(Answer::Time),
            Just(Answer::Silence),
            Just(Answer::Unsynchronized),
            Just(Answer::Local),
            Just(Answer::NoDispersion),
            Just(Answer::Kiss(*b"RATE")),
            Just(Answer::Kiss(*b"DENY")),
            Just(Answer::Kiss(*b"RSTR")),
            Just(Answer::Kiss(*b"OOPS")),
            (0_u8..4).prop_map(Answer::Leap),
        ];
        // Mostly off by as much when it sends as when it receives: what jumps in between is refused.
        let jump = prop_oneof![3 => Just(0), 1 => -3_000 * MS..3_000 * MS];
        (answer, -3_000 * MS..3_000 * MS, jump).prop_map(|(answer, off_received, jump)| Behaviour {
            answer,
            off_received,
            off_sent: off_received + jump,
            ..Behaviour::HONEST
        })
    }

    /// What happens to one phase of a world: how each server behaves, for how many seconds, and
    /// whether the machine was suspended before it.
    fn any_phase() -> impl Strategy<Value = ([Behaviour; 3], usize, bool)> {
        (
            [any_answer(), any_answer(), any_answer()],
            1_usize..200,
            prop::bool::weighted(0.2),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// P12: whatever came before, honest replies end every refusal: within two of the longest
        /// polls, and a day for servers that had refused to serve.
        #[test]
        fn p12_every_refusal_ends_by_honest_exchanges(
            phases in prop::collection::vec(any_phase(), 1..5),
            servers in 1_u8..=3,
        ) {
            let world = World::new(0);
            let mut looker = Looker::new(&world, source(&world, servers));
            let mut denied = false;
            for (behaviours, seconds, sleeps) in phases {
                for (index, behaviour) in (0..).zip(behaviours) {
                    denied |= matches!(behaviour.answer, Answer::Kiss([b'D' | b'R', b'E' | b'S', ..]));
                    world.set(address(index), behaviour);
                }
                if sleeps {
                    world.suspend(10 * SECOND);
                    looker.void();
                }
                for _ in 0..seconds {
                    looker.tick();
                }
            }
            for index in 0..3 {
                world.set(address(index), Behaviour::HONEST);
            }
            if denied {
                world.advance(86_400 * SECOND);
            }
            // The last false exchange is gone, and after it a claim is made and is true.
            for _ in 0..2 * 1_024 + 1_200 {
                looker.tick();
            }
            prop_assert!(looker.until_written(1_200).is_some());
        }
    }

    #[test]
    fn what_cannot_serve_is_refused_when_a_clock_is_built() {
        let world = World::new(0);
        let checked = |source: NtpSource| {
            let settings = source.check_settings();
            assert_eq!(source.check(&world).is_ok(), settings.is_ok());
            settings
        };
        let named = |hosts: &[&str]| {
            hosts.iter().fold(NtpSource::new(), |source, host| {
                source.server(*host).unwrap()
            })
        };
        assert_eq!(checked(NtpSource::new()), Err(NtpSettingsError::NoServer));
        let three = ["a.example", "b.example", "c.example"];
        assert_eq!(checked(named(&three)), Ok(()));
        assert_eq!(checked(named(&three).max_faulty(1)), Ok(()));
        assert_eq!(
            checked(named(&three).max_faulty(2)),
            Err(NtpSettingsError::TooManyFaulty {
                max_faulty: 2,
                votes: 3
            })
        );
        assert!(checked(named(&three[..2]).max_faulty(1)).is_err());
        assert_eq!(
            checked(named(&["x.example"; 9])),
            Err(NtpSettingsError::TooManyServers { given: 9, limit: 8 })
        );
        let mixed = ["time.google.com", "ntp1.example.net"];
        assert_eq!(
            checked(named(&mixed)),
            Err(NtpSettingsError::MixedTimescales)
        );
        assert_eq!(checked(named(&mixed).allow_mixed_timescales()), Ok(()));
        assert_eq!(checked(named(&["time.google.com", "time.aws.com"])), Ok(()));
        let less = NtpServer::at(address(0)).wander_ppb(0);
        assert!(NtpSource::new().server(less.clone()).is_err());
        assert!(NtpSource::new().server(less.own()).is_ok());
    }

    /// A machine of which boot time is raw time, as the standard library's is.
    #[derive(Debug)]
    struct Sleeper(World);

    impl Machine for Sleeper {
        fn sample(&self) -> crate::machine::Sample {
            self.0.sample()
        }

        fn sandwich(&self) -> crate::machine::Sandwich {
            let clocks = self.0.sandwich();
            crate::machine::Sandwich {
                boot: clocks.raw,
                ..clocks
            }
        }

        fn ntp_status(&self) -> Result<crate::machine::NtpStatus, crate::machine::NtpStatusError> {
            self.0.ntp_status()
        }

        fn coarse_tick(&self) -> Duration {
            self.0.coarse_tick()
        }

        fn identity(&self) -> crate::machine::Identity {
            self.0.identity()
        }

        fn sleep(&self, span: Duration) {
            self.0.sleep(span);
        }

        fn tells_suspends(&self) -> bool {
            false
        }
    }

    /// M1: it is refused when a clock is built with it; and used all the same it asks no server and claims
    /// nothing, so that a sleep leaves no claim in force.
    #[test]
    fn m1_a_machine_that_cannot_tell_a_suspend_has_no_claim_to_sleep_through() {
        for slept in [MS, SECOND, 8 * 3_600 * SECOND] {
            let world = World::new(0);
            world.set(address(0), Behaviour::HONEST);
            let (machine, source) = (Sleeper(world.clone()), source(&world, 1));
            assert!(source.check(&machine).is_err() && source.check(&world).is_ok());
            let mut memory = SourceMemory::default();
            for second in 0..10 {
                if second == 5 {
                    world.suspend(slept);
                }
                world.advance(SECOND);
                source.refresh(&machine);
                let look = source.look(&LookContext::new(&machine), &mut memory);
                let refusal = Refusal::Ntp(NtpRefusal::NoSuspendClock);
                assert_eq!(look.finding, Finding::Refused(refusal));
            }
            assert!(world.lock().asked.is_empty());
        }
    }

    #[test]
    fn v1_a_source_is_a_judge_if_it_can_be_outvoted_itself() {
        let world = World::new(0);
        assert_eq!(source(&world, 2).role(), Role::Helper);
        assert_eq!(source(&world, 3).role(), Role::Judge);
        assert_eq!(source(&world, 3).max_faulty(0).role(), Role::Helper);
        assert_eq!(source(&world, 1).guard().role(), Role::Judge);
        assert_eq!(source(&world, 3).never_vetoes().role(), Role::Helper);
    }

    #[test]
    fn a_name_that_refuses_gives_way_to_another_address_of_it() {
        let world = World::new(0);
        let transport: Arc<dyn Transport> = Arc::new(world.clone());
        let source = NtpSource::new().transport(transport);
        let denies = Behaviour {
            answer: Answer::Kiss(*b"DENY"),
            ..Behaviour::HONEST
        };
        world.set("192.0.2.1:123".parse().unwrap(), denies);
        world.set("192.0.2.2:123".parse().unwrap(), Behaviour::HONEST);
        let mut looker = Looker::new(&world, source.server("ntp.example").unwrap());
        assert!(looker.until_written(20).is_some());
        let asked = world.lock().asked.clone();
        let first: SocketAddr = "192.0.2.1:123".parse().unwrap();
        assert_eq!(
            asked.iter().filter(|(_, server)| *server == first).count(),
            1
        );
    }
}
