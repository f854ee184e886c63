//! One server: what was heard of it, when it is asked again, and what of all that counts.

use std::net::SocketAddr;
use std::sync::Arc;

use super::exchange::{Answer, Exchange, Loss, Seal, Transport};
use super::names::Addresses;
#[cfg(feature = "nts")]
use super::nts::Session;
use super::proof;
use super::refusal::NtpRefusal;
#[cfg(feature = "nts")]
use super::refusal::NtsRefusal;
use super::schedule::{LOSSES, Schedule};
use super::scrutiny::examine;
use super::settings::NtpServer;
use crate::machine::{Disruption, OffsetRange};
#[cfg(feature = "nts")]
use crate::time::Timestamp;
use crate::time::{Claim, LeapSecond, RateBounds, WINDOW};

/// How many exchanges are kept of a server (as NTP's clock filter does).
pub(super) const KEPT: usize = 8;

/// How old an exchange may be to represent its server, in ns: the learning window.
///
/// Bounds on the rate that are learned later are assumed of this window and what follows, never of
/// what was before; and a false exchange serves no longer than this.
pub(super) const OLDEST: i64 = WINDOW;

/// How long a name without an address waits for the next try, in ns.
const RESOLVE_EVERY: i64 = 64_000_000_000;

/// What was heard of one server, as looks see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The last exchanges, the oldest first.
    pub(super) exchanges: Vec<Exchange>,
    /// Why the last reply was not believed, if it was not.
    pub(super) refusal: Option<NtpRefusal>,
    pub(super) address: Option<SocketAddr>,
    /// Raw time of the last reply, believed or not.
    pub(super) replied_at: Option<i64>,
    /// Requests without a reply since.
    pub(super) losses: u32,
    pub(super) interval_ns: i64,
}

/// One server on the side of the thread that asks.
#[derive(Debug)]
pub(super) struct Server {
    settings: NtpServer,
    addresses: Addresses,
    schedule: Schedule,
    resolve_at: i64,
    heard: Heard,
    #[cfg(feature = "nts")]
    session: Option<Session>,
}

/// When a server is asked, in raw time and as far as the clock knows in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) raw: i64,
    /// By which certificates are dated.
    #[cfg(feature = "nts")]
    pub(super) utc: Timestamp,
}

/// Whom to ask, and what with.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) seal: Seal,
}

/// What one request came to.
pub(super) type Outcome = Result<Answer, Loss>;

/// What is the same for all exchanges of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) raw: i64,
    pub(super) margin_ns: u64,
    pub(super) max_distance_ns: u64,
    /// How fast true time may run against raw time, for all that the last look knew.
    pub(super) rate: RateBounds,
}

impl Server {
    pub(super) fn new(settings: NtpServer, raw: i64, random: u64) -> Self {
        let schedule = Schedule::new(raw, settings.shortest_interval(), settings.own, random);
        Self {
            addresses: Addresses::new(&settings.host),
            schedule,
            resolve_at: raw,
            heard: Heard::default(),
            #[cfg(feature = "nts")]
            session: settings
                .nts
                .as_ref()
                .map(|nts| Session::new(&settings.host, nts, settings.own, raw)),
            settings,
        }
    }

    pub(super) fn heard(&self) -> Heard {
        Heard {
            losses: self.schedule.losses(),
            interval_ns: self.schedule.interval_ns(),
            ..self.heard.clone()
        }
    }

    pub(super) const fn refusal(&self) -> Option<NtpRefusal> {
        self.heard.refusal
    }

    pub(super) const fn hurry(&mut self, raw: i64) {
        self.schedule.hurry(raw);
    }

    /// Returns whom to ask now, if it is time and a token is left.
    pub(super) fn due(
        &mut self,
        moment: &Moment,
        transport: &Arc<dyn Transport>,
    ) -> Option<Target> {
        let raw = moment.raw;
        #[cfg(feature = "nts")]
        if let Some(session) = &mut self.session {
            session.renew(raw, moment.utc, transport);
            // A server that has no keys is not asked without them.
            if let Some(refusal) = session.refusal() {
                self.heard.refusal = Some(NtpRefusal::Nts(refusal));
            }
            let address = session.address()?;
            if !self.schedule.is_due(raw) || self.addresses.is_denied(address, raw) {
                return None;
            }
            if !self.draws(address, raw, transport) {
                return None;
            }
            let seal = Seal::Nts(Box::new(
                self.session.as_mut()?.envelope(transport.as_ref())?,
            ));
            return Some(Target { address, seal });
        }
        self.take_found(raw);
        let waits = self.resolve_at.saturating_sub(raw);
        if self.addresses.is_empty() && !(1..=RESOLVE_EVERY).contains(&waits) {
            self.addresses.resolve(&self.settings.host, transport);
            // Where that took no time.
            self.take_found(raw);
        }
        if !self.schedule.is_due(raw) {
            return None;
        }
        let address = self.addresses.in_use(raw)?;
        let seal = Seal::Plain;
        self.draws(address, raw, transport)
            .then_some(Target { address, seal })
    }

    /// Takes over what the name was resolved to; one without an address is tried again later.
    fn take_found(&mut self, raw: i64) {
        if self.addresses.take_found() {
            self.resolve_at = raw.saturating_add(RESOLVE_EVERY);
        }
    }

    /// Takes a token for a request to this address; false if there is none.
    fn draws(&mut self, address: SocketAddr, raw: i64, transport: &Arc<dyn Transport>) -> bool {
        if !transport.budget().take(address, self.settings.own, raw) {
            self.schedule.postpone(raw);
            return false;
        }
        if self.heard.address.is_some_and(|before| before != address) {
            // Another server under this name: what the one before said is not its word.
            self.heard = Heard::default();
        }
        self.heard.address = Some(address);
        true
    }

    /// Returns true if what the server says is surely its own word.
    const fn is_sealed(&self) -> bool {
        #[cfg(feature = "nts")]
        return self.session.is_some();
        #[cfg(not(feature = "nts"))]
        false
    }

    /// Takes note of what asking came to.
    pub(super) fn note(
        &mut self,
        server: SocketAddr,
        outcome: Outcome,
        serial: u64,
        round: &Round,
        random: u64,
        transport: &Arc<dyn Transport>,
    ) {
        let raw = round.raw;
        let Answer {
            reply,
            clocks,
            #[cfg(feature = "nts")]
            cookies,
        } = match outcome {
            Ok(answer) => answer,
            // The server is not to blame, and may be asked again soon.
            Err(Loss::Disturbed) => return self.schedule.refused(raw, random),
            Err(Loss::NoReply) => {
                self.schedule.lost(raw, random);
                if self.schedule.losses() % LOSSES == 0 {
                    self.addresses.resolve(&self.settings.host, transport);
                }
                return;
            }
            Err(Loss::NotSealed(refusal)) => {
                self.heard.refusal = Some(NtpRefusal::Nts(refusal));
                #[cfg(feature = "nts")]
                if let (NtsRefusal::UnknownCookie, Some(session)) = (refusal, &mut self.session) {
                    session.give_up_cookies();
                }
                return self.schedule.lost(raw, random);
            }
        };
        #[cfg(feature = "nts")]
        if let Some(session) = &mut self.session {
            session.put(cookies);
        }
        self.heard.replied_at = Some(clocks.received);
        let believed = examine(
            &reply,
            &self.settings,
            round.margin_ns,
            round.max_distance_ns,
        );
        self.heard.refusal = believed.err();
        match believed {
            Ok(believed) => {
                let exchange = Exchange {
                    serial,
                    round: round.number,
                    server,
                    clocks,
                    reply,
                    distance_ns: believed.distance_ns,
                    precision_ns: believed.precision_ns,
                };
                keep(&mut self.heard.exchanges, exchange);
                let half = least_half_width(&self.heard.exchanges, round.rate);
                self.schedule.answered(raw, half, round.rate, random);
            }
            Err(NtpRefusal::RateLimited) => self.schedule.slow_down(raw, reply.poll, random),
            Err(NtpRefusal::Denied) => {
                self.addresses.deny(server, raw, self.is_sealed());
                self.addresses.resolve(&self.settings.host, transport);
                self.schedule.refused(raw, random);
            }
            // No exchange, and no reason to drop the ones before: a kiss or a lie of now says
            // nothing about a reply of then.
            Err(_) => self.schedule.refused(raw, random),
        }
    }
}

fn keep(exchanges: &mut Vec<Exchange>, exchange: Exchange) {
    // The last eight, and none from before another clock source counted raw time.
    let clocksource = exchange.clocks.surroundings.clocksource;
    exchanges.retain(|kept| kept.clocks.surroundings.clocksource == clocksource);
    if exchanges.len() >= KEPT {
        exchanges.remove(0);
    }
    exchanges.push(exchange);
}

fn least_half_width(exchanges: &[Exchange], rate: RateBounds) -> u64 {
    // The narrowest, as wide as it was when fresh: an exchange that an attacker delayed does not
    // stretch the interval between requests.
    let fresh = exchanges
        .iter()
        .filter_map(|exchange| proof::claim(exchange, rate))
        .map(|claim| claim.interval().epsilon())
        .min();
    fresh.map_or(0, |half| u64::try_from(half.as_nanos()).unwrap_or(u64::MAX))
}

/// What exchanges are held against: the clocks as they are now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) raw: i64,
    pub(super) boot_offset: OffsetRange,
    pub(super) disruption: Disruption,
    /// Raw time that an exchange must have begun after.
    pub(super) barrier: i64,
    /// How fast true time may run against raw time, whatever was learned.
    pub(super) guess: RateBounds,
    pub(super) learned: Learned,
    /// A leap second on the scale of what was said before it.
    pub(super) leap: Option<LeapSecond>,
}

/// What is known of the rate, and from when on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    pub(super) rate: RateBounds,
    /// The raw instant before which it was last forgotten what had been learned.
    pub(super) since: i64,
    /// The clock source that counts raw time now, by whose counting it was learned.
    pub(super) clocksource: u64,
}

impl Situation {
    /// Returns the bounds on the rate since the exchange began.
    ///
    /// What is learned now is assumed of the learning window and what follows, never of what was before;
    /// nor of what another clock source counted, nor of what came before it was last forgotten.
    fn rate_since(&self, exchange: &Exchange) -> RateBounds {
        let clocks = &exchange.clocks;
        let is_in_the_window = self.raw.saturating_sub(clocks.sent) <= WINDOW;
        let is_of_this_counter = clocks.surroundings.clocksource == self.learned.clocksource;
        if is_in_the_window && is_of_this_counter && clocks.sent > self.learned.since {
            self.learned.rate
        } else {
            self.guess
        }
    }

    /// Returns true if raw time counts since the request was sent, as far as is known.
    fn connects(&self, exchange: &Exchange) -> bool {
        let clocks = &exchange.clocks;
        clocks.sent > self.barrier
            && clocks.received <= self.raw
            && clocks.boot_offset.moved_to(&self.boot_offset) == 0
            && clocks.surroundings.disruption == self.disruption
    }

    /// Returns the exchange's claim, on the scale that it was made on.
    fn claim(&self, exchange: &Exchange) -> Option<Claim> {
        let claim = proof::claim(exchange, self.rate_since(exchange))?;
        let leap = self
            .leap
            .filter(|leap| claim.interval().latest() < leap.boundary);
        Some(claim.with_leap(leap))
    }
}

/// What one server's exchanges come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Testimony {
    /// The exchange that is narrowest now, and its claim.
    pub(super) representative: Option<(Exchange, Claim)>,
    /// The newest exchange that counts, by its serial number; 0 if none does.
    pub(super) newest: u64,
    /// Exchanges of before this one are dropped: it excludes one of them.
    pub(super) floor: u64,
    /// Why the server has no vote, if it has none though something was heard.
    pub(super) refusal: Option<NtpRefusal>,
    /// Exchanges in which more time passed there than here.
    pub(super) impossible: Vec<Exchange>,
}

/// Weighs what was heard of one server, of which what came before exchange `floor` is dropped.
///
/// The exchanges are compared, each new one with all before it, and never intersected: one true
/// exchange in a narrow intersection with a false one would be lost. Choosing among true ones is
/// sound for any chooser, and so for an attacker who delays what he likes.
pub(super) fn weigh(
    heard: &Heard,
    situation: &Situation,
    mut floor: u64,
    counts: impl Fn(&Claim) -> bool,
) -> Testimony {
    let mut testimony = Testimony::default();
    let mut kept: Vec<(Exchange, Claim)> = Vec::with_capacity(KEPT);
    for exchange in heard.exchanges.iter().filter(|e| situation.connects(e)) {
        let rate = situation.rate_since(exchange);
        if let Some(beyond) = proof::beyond_round_trip(exchange, rate) {
            testimony.impossible.push(*exchange);
            testimony.refusal = Some(NtpRefusal::BeyondRoundTrip {
                by_us: i64::try_from(beyond / 1_000).unwrap_or(i64::MAX),
            });
            continue;
        }
        let claim = situation.claim(exchange).filter(|claim| counts(claim));
        let Some(claim) = claim.filter(|_| exchange.serial >= floor) else {
            continue;
        };
        testimony.refusal = None;
        let excludes = |(_, earlier): &(Exchange, Claim)| earlier.contradiction(&claim).is_some();
        if kept.iter().any(excludes) {
            floor = exchange.serial;
            kept.clear();
        }
        kept.push((*exchange, claim));
    }
    testimony.floor = floor;
    if floor > 0 && kept.len() < 2 {
        testimony.refusal = Some(NtpRefusal::ContradictsItself);
        return testimony;
    }
    let is_young = |(exchange, _): &&(Exchange, Claim)| {
        situation.raw.saturating_sub(exchange.clocks.received) <= OLDEST
    };
    let carried_width = |(_, claim): &&(Exchange, Claim)| {
        let carried = claim.carry(situation.raw);
        carried.map_or(core::time::Duration::MAX, |interval| interval.width())
    };
    testimony.representative = kept
        .iter()
        .filter(is_young)
        .min_by_key(carried_width)
        .copied();
    testimony.newest = kept
        .iter()
        .filter(is_young)
        .map(|(exchange, _)| exchange.serial)
        .max()
        .unwrap_or(0);
    testimony
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::bucket::Budget;
    use super::super::exchange::tests::exchange_of;
    use super::super::exchange::{Channel, Clocks, ask};
    use super::super::world::{self, Behaviour, SECOND, World};
    use super::*;
    use crate::machine::Machine;
    use crate::time::{LeapKind, Timestamp};

    const NOW: i64 = 2 * WINDOW;
    const BARRIER: i64 = 1_000;

    fn rates(ppb: u32) -> RateBounds {
        RateBounds::symmetric(ppb)
    }

    fn situation() -> Situation {
        Situation {
            raw: NOW,
            boot_offset: OffsetRange::default(),
            disruption: Disruption::default(),
            barrier: BARRIER,
            guess: rates(200_000),
            learned: Learned {
                rate: rates(1_000),
                since: NOW - WINDOW - 7,
                clocksource: 0,
            },
            leap: None,
        }
    }

    /// Sent half a window ago, and received a millisecond later.
    fn clocks() -> Clocks {
        let sent = NOW - WINDOW / 2;
        Clocks {
            sent,
            received: sent + 1_000_000,
            ..Clocks::default()
        }
    }

    #[test]
    fn an_exchange_counts_while_nothing_came_between_it_and_now() {
        let slept = OffsetRange { lo: 1, hi: 1 };
        let mut paused = clocks();
        paused.surroundings.disruption.marker = 1;
        for (clocks, counts) in [
            (clocks(), true),
            (
                Clocks {
                    sent: BARRIER + 1,
                    ..clocks()
                },
                true,
            ),
            (
                Clocks {
                    sent: BARRIER,
                    ..clocks()
                },
                false,
            ),
            (
                Clocks {
                    received: NOW,
                    ..clocks()
                },
                true,
            ),
            (
                Clocks {
                    received: NOW + 1,
                    ..clocks()
                },
                false,
            ),
            (
                Clocks {
                    boot_offset: slept,
                    ..clocks()
                },
                false,
            ),
            (paused, false),
        ] {
            let connects = situation().connects(&exchange_of(clocks));
            assert_eq!(connects, counts, "{clocks:?}");
        }
    }

    #[test]
    fn what_was_learned_counts_for_its_window_its_counter_and_until_it_is_forgotten() {
        let (learned, guess) = (rates(1_000), rates(200_000));
        let mut other_counter = clocks();
        other_counter.surroundings.clocksource = 1;
        let sent = |sent| Clocks { sent, ..clocks() };
        let of = |situation: Situation, clocks| situation.rate_since(&exchange_of(clocks));
        assert_eq!(of(situation(), clocks()), learned);
        assert_eq!(of(situation(), other_counter), guess);
        assert_eq!(of(situation(), sent(NOW - WINDOW)), learned);
        assert_eq!(of(situation(), sent(NOW - WINDOW - 1)), guess);
        let mut forgot = situation();
        forgot.learned.since = clocks().sent;
        assert_eq!(of(forgot, clocks()), guess);
        assert_eq!(of(forgot, sent(clocks().sent + 1)), learned);
    }

    #[test]
    fn a_claim_keeps_to_the_scale_of_before_the_leap_second_while_it_ends_before_it() {
        let exchange = exchange_of(clocks());
        let latest = situation().claim(&exchange).unwrap().interval().latest();
        for (after_ns, on_that_scale) in [(0, false), (1, true)] {
            let leap = LeapSecond {
                boundary: Timestamp::from_unix_nanos(latest.unix_nanos() + after_ns),
                kind: LeapKind::Inserted,
            };
            let situation = Situation {
                leap: Some(leap),
                ..situation()
            };
            let claimed = situation.claim(&exchange).unwrap();
            assert_eq!(claimed.leap(), on_that_scale.then_some(leap), "{after_ns}");
        }
    }

    #[test]
    fn the_last_eight_exchanges_of_one_clock_source_are_kept() {
        let mut kept = Vec::new();
        let of = |serial, clocksource| {
            let mut clocks = clocks();
            clocks.surroundings.clocksource = clocksource;
            Exchange {
                serial,
                ..exchange_of(clocks)
            }
        };
        for serial in 1..=10 {
            keep(&mut kept, of(serial, 1));
        }
        let serials = |kept: &[Exchange]| kept.iter().map(|e| e.serial).collect::<Vec<_>>();
        assert_eq!(serials(&kept), [3, 4, 5, 6, 7, 8, 9, 10]);
        keep(&mut kept, of(11, 2));
        assert_eq!(serials(&kept), [11]);
    }

    #[test]
    fn the_narrowest_exchange_sets_how_often_a_server_is_asked() {
        let of = |distance_ns| Exchange {
            distance_ns,
            ..exchange_of(clocks())
        };
        let (wide, narrow) = (of(9_000), of(5_000));
        let half = |exchanges: &[Exchange]| least_half_width(exchanges, rates(200_000));
        let epsilon = proof::claim(&narrow, rates(200_000))
            .unwrap()
            .interval()
            .epsilon();
        assert_eq!(u128::from(half(&[wide, narrow, wide])), epsilon.as_nanos());
        // Half of the millisecond that it took, at least, and the distance.
        assert!(half(&[narrow]) > 505_000);
        assert_eq!(half(&[]), 0);
    }

    /// A name in a world: what it is resolved to, and how often that was done.
    #[derive(Debug)]
    struct Names {
        world: World,
        addresses: Vec<SocketAddr>,
        resolved: AtomicUsize,
    }

    impl Transport for Names {
        fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>> {
            self.world.open(server)
        }

        fn resolve(&self, _name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
            self.resolved.fetch_add(1, Ordering::Relaxed);
            Ok(self.addresses.clone())
        }

        fn budget(&self) -> &Budget {
            self.world.budget()
        }

        fn random_bits(&self) -> io::Result<u64> {
            self.world.random_bits()
        }
    }

    /// One server of one's own, asked by name.
    struct Scene {
        names: Arc<Names>,
        server: Server,
        serial: u64,
    }

    impl Scene {
        fn new(addresses: &[SocketAddr]) -> Self {
            let world = World::new(0);
            for address in addresses {
                world.set(*address, Behaviour::HONEST);
            }
            Self::of(
                NtpServer::try_from("ntp.example").unwrap(),
                world,
                addresses,
            )
        }

        fn of(settings: NtpServer, world: World, addresses: &[SocketAddr]) -> Self {
            Self {
                names: Arc::new(Names {
                    world,
                    addresses: addresses.to_vec(),
                    resolved: AtomicUsize::new(0),
                }),
                server: Server::new(settings.own(), 0, 0),
                serial: 0,
            }
        }

        fn transport(&self) -> Arc<dyn Transport> {
            Arc::clone(&self.names) as Arc<dyn Transport>
        }

        fn resolved(&self) -> usize {
            self.names.resolved.load(Ordering::Relaxed)
        }

        fn says(&self, address: SocketAddr, answer: world::Answer) {
            let behaviour = Behaviour {
                answer,
                ..Behaviour::HONEST
            };
            self.names.world.set(address, behaviour);
        }

        fn due(&mut self, raw: i64) -> Option<Target> {
            let moment = Moment {
                raw,
                #[cfg(feature = "nts")]
                utc: self.names.world.truth(),
            };
            let transport = self.transport();
            self.server.due(&moment, &transport)
        }

        /// A second goes by, and the server is asked if its turn has come: at this address.
        fn second(&mut self) -> Option<SocketAddr> {
            let names = Arc::clone(&self.names);
            names.world.advance(SECOND);
            let Target { address, seal } = self.due(names.world.sample().raw)?;
            let outcome = ask(&names.world, names.as_ref(), address, &seal);
            self.serial += 1;
            let round = Round {
                number: self.serial,
                raw: names.world.sample().raw,
                margin_ns: 0,
                max_distance_ns: u64::MAX,
                rate: rates(200_000),
            };
            let transport = self.transport();
            self.server
                .note(address, outcome, self.serial, &round, 0, &transport);
            Some(address)
        }

        fn until_asked(&mut self) -> SocketAddr {
            (0..100).find_map(|_| self.second()).expect("its turn")
        }
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 123))
    }

    #[test]
    fn what_an_address_said_is_kept_until_another_is_asked_under_its_name() {
        let (first, second) = (address(1), address(2));
        let mut scene = Scene::new(&[first, second]);
        let said = |scene: &Scene| -> Vec<SocketAddr> {
            let heard = scene.server.heard();
            heard.exchanges.iter().map(|e| e.server).collect()
        };
        for _ in 0..3 {
            assert_eq!(scene.until_asked(), first);
        }
        assert_eq!(said(&scene), [first; 3]);
        scene.says(first, world::Answer::Kiss(*b"DENY"));
        assert_eq!(scene.until_asked(), first);
        assert_eq!(said(&scene), [first; 3]);
        for asked in 1..=2 {
            assert_eq!(scene.until_asked(), second);
            assert_eq!(scene.server.heard().address, Some(second));
            assert_eq!(said(&scene), [second; 2][..asked]);
        }
    }

    #[test]
    fn a_name_is_resolved_anew_after_each_eighth_loss_in_a_row() {
        let mut scene = Scene::new(&[address(1)]);
        scene.says(address(1), world::Answer::Silence);
        for losses in 1..=24 {
            scene.until_asked();
            let heard = scene.server.heard();
            assert_eq!((heard.losses, heard.interval_ns), (losses, 64 * SECOND));
            let anew = usize::try_from(losses / 8).unwrap();
            assert_eq!(scene.resolved(), 1 + anew, "{losses}");
        }
        scene.says(address(1), world::Answer::Time);
        scene.until_asked();
        assert_eq!(scene.server.heard().losses, 0);
    }

    #[test]
    fn a_name_without_an_address_is_tried_again_after_64_s() {
        let mut nowhere = Scene::new(&[]);
        for (raw, resolved) in [
            (0, 1),
            (1, 1),
            (RESOLVE_EVERY - 1, 1),
            (RESOLVE_EVERY, 2),
            // Raw time of another namespace.
            (-1, 3),
        ] {
            assert!(nowhere.due(raw).is_none());
            assert_eq!(nowhere.resolved(), resolved, "{raw}");
        }
        let mut somewhere = Scene::new(&[address(1)]);
        for raw in [0, 1, 2 * RESOLVE_EVERY] {
            assert!(somewhere.due(raw).is_some());
            assert_eq!(somewhere.resolved(), 1, "{raw}");
        }
    }

    #[test]
    fn why_a_server_is_not_believed_is_told_until_it_is() {
        let mut scene = Scene::new(&[address(1)]);
        for (answer, refusal) in [
            (world::Answer::Time, None),
            (
                world::Answer::Unsynchronized,
                Some(NtpRefusal::Unsynchronized),
            ),
            (world::Answer::Silence, Some(NtpRefusal::Unsynchronized)),
            (world::Answer::Local, Some(NtpRefusal::LocalReference)),
            (world::Answer::Time, None),
        ] {
            scene.says(address(1), answer);
            scene.until_asked();
            assert_eq!(scene.server.refusal(), refusal, "{answer:?}");
            assert_eq!(scene.server.heard().refusal, refusal, "{answer:?}");
        }
    }

    #[test]
    fn a_server_that_is_hurried_is_asked_at_once() {
        let mut scene = Scene::new(&[address(1)]);
        for _ in 0..4 {
            scene.until_asked();
        }
        for _ in 0..10 {
            assert_eq!(scene.second(), None);
        }
        let raw = scene.names.world.sample().raw;
        scene.server.hurry(raw);
        assert_eq!(scene.second(), Some(address(1)));
    }

    #[test]
    fn f3_a_refusal_to_serve_is_for_a_day_and_for_good_where_it_is_sealed() {
        const DAY: i64 = 86_400 * SECOND;
        let refused_after = |scene: &mut Scene, span| {
            scene.says(address(1), world::Answer::Kiss(*b"DENY"));
            let names = Arc::clone(&scene.names);
            let outcome = ask(&names.world, names.as_ref(), address(1), &Seal::Plain);
            let round = Round {
                number: 1,
                raw: 0,
                margin_ns: 0,
                max_distance_ns: u64::MAX,
                rate: rates(200_000),
            };
            let transport = scene.transport();
            scene
                .server
                .note(address(1), outcome, 1, &round, 0, &transport);
            scene.server.addresses.is_denied(address(1), span)
        };
        for (span, is_refused) in [(DAY - 1, true), (DAY, false), (1_000 * DAY, false)] {
            let plain = &mut Scene::new(&[address(1)]);
            assert_eq!(refused_after(plain, span), is_refused, "{span}");
            #[cfg(feature = "nts")]
            {
                let sealed = &mut Scene::new(&[address(1)]);
                sealed.server.session = Some(super::super::nts::session(8));
                assert!(refused_after(sealed, span), "{span}");
            }
        }
    }

    #[cfg(feature = "nts")]
    #[test]
    fn a_server_with_keys_is_asked_when_it_is_due_within_the_budget_unless_it_refused() {
        let scene = || {
            let at = "127.0.0.1:123".parse().unwrap();
            let mut scene = Scene::of(NtpServer::at(at), World::new(0), &[]);
            scene.server.session = Some(super::super::nts::session(8));
            (scene, at)
        };
        let (mut sound, at) = scene();
        let target = sound.due(0).unwrap();
        assert_eq!(target.address, at);
        assert!(matches!(target.seal, Seal::Nts(_)), "{target:?}");
        assert_eq!(sound.server.heard().address, Some(at));
        let (mut early, _) = scene();
        early.server.schedule.refused(0, 0);
        assert!(early.due(1).is_none());
        let (mut denied, at) = scene();
        denied.server.addresses.deny(at, 0, true);
        assert!(denied.due(0).is_none());
        let (mut spent, at) = scene();
        while spent.names.world.budget().take(at, true, 0) {}
        assert!(spent.due(0).is_none());
        assert!(spent.due(2 * SECOND).is_some());
    }
}
