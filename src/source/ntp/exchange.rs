//! One request and its reply, with the clocks that were read around them, in the order that counts.

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use super::bucket::Budget;
use super::cookie::{self, Cookie};
#[cfg(feature = "nts")]
use super::nts::{Envelope, Failure, Opened};
use super::packet::{BUFFER_LEN, Reply, request};
use super::refusal::NtsRefusal;
use crate::machine::{Disruption, Identity, Machine, OffsetRange, Sandwich};
use crate::time::Timestamp;

/// How long a reply is waited for: all sources of a clock are asked by one thread, and the others'
/// turn must come.
pub(super) const PATIENCE: Duration = Duration::from_millis(450);

/// A reply that took longer, in ns, is dropped: its interval would be as wide.
const SLOWEST: i64 = 2_000_000_000;

/// How many datagrams that are no reply are read before the server is taken for silent.
const STRANGERS: usize = 16;

/// How often the clocks are read before sending and after receiving, until they are as sharp as
/// this, in ns: what blurs them may hide a suspend, and is charged.
const TRIES: usize = 8;
const SHARP: i64 = 2_000;

/// A kernel slews real time by 500 ppm at most: this share of what passes.
const SLEW_SHARE: i64 = 2_000;

/// A way to servers, and back: UDP, or a simulated world that plays servers.
///
/// What an implementation must keep to: a [`Channel`] is connected (only datagrams of the server it
/// was opened for come out), and each has a port of its own that cannot be guessed.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Opens a channel to a server, for one request.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being opened; the request counts as lost.
    fn open(&self, server: SocketAddr) -> io::Result<Box<dyn Channel>>;

    /// Returns the addresses of a name; may take seconds, and is called in a thread of its own if
    /// the transport is [concurrent](Self::is_concurrent).
    ///
    /// # Errors
    ///
    /// Whatever the resolver says; the name is resolved anew later.
    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// Returns what may still be asked, shared by all clocks of a process.
    fn budget(&self) -> &Budget;

    /// Returns 64 random bits, for a request's cookie and the spread of requests over time.
    ///
    /// By default of the operating system. A simulated world draws its own, to be repeatable.
    ///
    /// # Errors
    ///
    /// Where there are none; then nothing is asked.
    fn random_bits(&self) -> io::Result<u64> {
        cookie::random_bits()
    }

    /// Returns true if several channels may be waited on at once, each in a thread of its own; by
    /// default false, as in a world whose time passes in one thread.
    fn is_concurrent(&self) -> bool {
        false
    }
}

/// A connected datagram socket, or what plays one.
pub trait Channel: fmt::Debug + Send {
    /// Sends one datagram.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being sent.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Waits for one datagram, no longer than that: how long it is, with its beginning in `buffer`.
    ///
    /// # Errors
    ///
    /// Whatever kept one from coming in time.
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;

    /// Returns real time of this machine when the datagram received last came in, by the kernel's stamp.
    ///
    /// Called once all clocks were read. `None`, the default, where there is no stamp, and wherever real time may
    /// have been stepped since the channel was opened: two steps, back and forth, would shift the stamp unseen.
    fn arrived(&mut self) -> Option<Timestamp> {
        None
    }
}

/// What raw time depends on, beside suspends: nothing of it may change during an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) disruption: Disruption,
    identity: Identity,
    pub(super) clocksource: u64,
}

impl Surroundings {
    fn read(machine: &dyn Machine) -> Option<Self> {
        // There is none while the hypervisor changes what it tells.
        Some(Self {
            disruption: machine.disruption()?,
            identity: machine.identity(),
            clocksource: machine.clocksource(),
        })
    }
}

/// The clocks around a request and its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    /// Raw time before the request was sent (r1), in ns.
    pub(super) sent: i64,
    /// Raw time after the reply had come (r4), in ns.
    pub(super) received: i64,
    /// How long the machine may have slept in between without that showing (u), in ns.
    pub(super) hidden_ns: u64,
    /// Boot time less monotonic time before the request was sent.
    pub(super) boot_offset: OffsetRange,
    pub(super) surroundings: Surroundings,
}

/// A believable reply, raw: what it proves is worked out where the rate is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// Counts the exchanges of a source, from 1.
    pub(super) serial: u64,
    /// Counts its rounds: servers asked together.
    pub(super) round: u64,
    pub(super) server: SocketAddr,
    pub(super) clocks: Clocks,
    pub(super) reply: Reply,
    /// How far the server may have been off at T3 (E), in ns.
    pub(super) distance_ns: u64,
    pub(super) precision_ns: u64,
}

impl Exchange {
    /// Returns what raw time counted between sending and receiving, in ns.
    pub(super) const fn round_trip_ns(&self) -> u64 {
        self.clocks.received.abs_diff(self.clocks.sent)
    }
}

/// What a server is asked with.
#[derive(Clone, Debug)]
pub(super) enum Seal {
    /// Nothing but the request's own bits.
    Plain,
    #[cfg(feature = "nts")]
    Nts(Box<Envelope>),
}

/// A reply to a request of ours, and what came with it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) clocks: Clocks,
    #[cfg(feature = "nts")]
    pub(super) cookies: Vec<Vec<u8>>,
}

#[cfg(not(feature = "nts"))]
struct Opened {
    reply: Reply,
}

impl Seal {
    fn request(&self, cookie: Cookie) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(request(cookie).to_vec()),
            #[cfg(feature = "nts")]
            Self::Nts(envelope) => envelope.seal(cookie),
        }
    }

    /// Reads a reply to the request with this cookie; otherwise what is to be told of the datagram, if it
    /// stays the last.
    fn open(&self, datagram: &[u8], cookie: Cookie) -> Result<Opened, Option<NtsRefusal>> {
        match self {
            Self::Plain => match Reply::parse(datagram, cookie) {
                Ok(reply) => Ok(Opened {
                    reply,
                    #[cfg(feature = "nts")]
                    cookies: Vec::new(),
                }),
                Err(_) => Err(None),
            },
            #[cfg(feature = "nts")]
            Self::Nts(envelope) => {
                envelope
                    .open(datagram, cookie)
                    .map_err(|failure| match failure {
                        Failure::NotOurs => None,
                        Failure::Plain => Some(NtsRefusal::Plain),
                        Failure::Forged => Some(NtsRefusal::Forged),
                        Failure::UnknownCookie => Some(NtsRefusal::UnknownCookie),
                    })
            }
        }
    }
}

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// No reply came, or none in time, or the request could not be sent.
    NoReply,
    /// Something happened to the clocks meanwhile.
    Disturbed,
    /// What came is not the server's, as far as its seal shows.
    NotSealed(NtsRefusal),
}

/// Asks a server once.
///
/// What is read before the first instant (r1) and after the last (r4) only widens what they are
/// compared for. The other way round a suspend between reading boot time and raw time would be seen
/// by neither.
pub(super) fn ask(
    machine: &dyn Machine,
    transport: &dyn Transport,
    server: SocketAddr,
    seal: &Seal,
) -> Result<Answer, Loss> {
    let lost = |_: io::Error| Loss::NoReply;
    let cookie = Cookie::from_bits(transport.random_bits().map_err(lost)?);
    // Sealed before the clocks are read: what that takes is no part of the round trip.
    let datagram = seal.request(cookie).ok_or(Loss::NoReply)?;
    let mut channel = transport.open(server).map_err(lost)?;
    let surroundings = Surroundings::read(machine).ok_or(Loss::Disturbed)?;
    let before = sharp(machine);
    let sent = machine.sample().raw;
    channel.send(&datagram).map_err(lost)?;
    let (opened, received) = receive(machine, channel.as_mut(), seal, cookie, sent)?;
    let after = sharp(machine);
    let slept = before.boot_offset().moved_to(&after.boot_offset()) != 0
        || may_have_slept(machine, &before, &after);
    let undisturbed = Surroundings::read(machine) == Some(surroundings);
    if slept || !undisturbed || before.raw > sent || sent > received || received > after.raw {
        return Err(Loss::Disturbed);
    }
    if received.saturating_sub(sent) > SLOWEST {
        return Err(Loss::NoReply);
    }
    let hidden = after
        .boot_offset()
        .hi
        .saturating_sub(before.boot_offset().lo);
    let hidden_ns = u64::try_from(hidden).unwrap_or(0);
    let received = channel
        .arrived()
        .filter(|_| before.real_offset().moved_to(&after.real_offset()) == 0)
        .and_then(|arrived| raw_when(arrived, &after, hidden_ns))
        .filter(|at| sent <= at.lo && at.hi <= received)
        .map_or(received, |at| at.hi);
    let clocks = Clocks {
        sent,
        received,
        hidden_ns,
        boot_offset: before.boot_offset(),
        surroundings,
    };
    Ok(Answer {
        reply: opened.reply,
        clocks,
        #[cfg(feature = "nts")]
        cookies: opened.cookies,
    })
}

/// Returns true if real time moved further against raw time than a slew takes it, on a machine that shows
/// a suspend in no other way.
fn may_have_slept(machine: &dyn Machine, before: &Sandwich, after: &Sandwich) -> bool {
    let most = after.raw.saturating_sub(before.raw) / SLEW_SHARE;
    let moved = before.real_offset().moved_to(&after.real_offset());
    !machine.tells_suspends() && moved.saturating_abs() > most
}

/// Returns the stretch of raw time within which real time was this, before these clocks were read; real time
/// must not have been stepped in between.
///
/// On a busy machine a reader sees a reply milliseconds after the kernel took it in. All that the stamp can do is
/// to say so: it counts if it lies between the request and the read, and the *late* end of it is then what was
/// read. A kernel that leaves a monotonic departure time in the stamp is out by decades.
fn raw_when(stamp: Timestamp, after: &Sandwich, hidden_ns: u64) -> Option<OffsetRange> {
    let hidden = i64::try_from(hidden_ns).ok()?;
    let ago = after
        .real
        .checked_sub(stamp.unix_nanos())
        .filter(|ago| *ago >= 0)?;
    // Real time runs up to an eighth fast or slow while it is slewed, and on through a suspend that does not show.
    let (least, most) = (ago - ago / 9 - 1, ago.checked_add(ago / 7 + 1)?);
    let blur = after.width().saturating_add(after.width() / 7 + 1);
    Some(OffsetRange {
        lo: after.raw.checked_sub(most)?.checked_sub(blur)?,
        hi: after.raw.checked_sub(least)?.checked_add(hidden)?,
    })
}

/// Waits for the reply to this request, and reads raw time at once when it is there.
fn receive(
    machine: &dyn Machine,
    channel: &mut dyn Channel,
    seal: &Seal,
    cookie: Cookie,
    sent: i64,
) -> Result<(Opened, i64), Loss> {
    let deadline = sent.saturating_add(i64::try_from(PATIENCE.as_nanos()).unwrap_or(i64::MAX));
    let mut now = sent;
    let mut loss = Loss::NoReply;
    // What is no reply to us is passed over: its sender cannot keep the reply out.
    for _ in 0..STRANGERS {
        let left = u64::try_from(deadline.saturating_sub(now)).unwrap_or(0);
        if left == 0 {
            break;
        }
        let mut buffer = [0; BUFFER_LEN];
        let patience = Duration::from_nanos(left);
        let Ok(length) = channel.receive(&mut buffer, patience) else {
            break;
        };
        now = machine.sample().raw;
        let datagram = buffer.get(..length).unwrap_or(&[]);
        match seal.open(datagram, cookie) {
            Ok(opened) => return Ok((opened, now)),
            Err(Some(refusal)) => loss = Loss::NotSealed(refusal),
            Err(None) => {}
        }
    }
    Err(loss)
}

fn sharp(machine: &dyn Machine) -> Sandwich {
    let mut sharpest = machine.sandwich();
    for _ in 1..TRIES {
        if sharpest.width() <= SHARP {
            break;
        }
        let again = machine.sandwich();
        if again.width() <= sharpest.width() {
            sharpest = again;
        }
    }
    sharpest
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::proof;
    use super::super::world::{Behaviour, Event, SECOND, World};
    use super::*;
    use crate::time::RateBounds;

    pub(in crate::source::ntp) fn exchange_of(clocks: Clocks) -> Exchange {
        Exchange {
            serial: 1,
            round: 1,
            server: server(),
            clocks,
            reply: Reply::default(),
            distance_ns: 0,
            precision_ns: 0,
        }
    }

    fn server() -> SocketAddr {
        "192.0.2.1:123".parse().unwrap()
    }

    /// Asks once in this world; the claim, and true time when raw time was read for it.
    fn exchanged(world: &World, distance_ns: u64) -> Result<bool, Loss> {
        claimed(world, distance_ns).map(|(holds, _)| holds)
    }

    /// And how wide the claim is, in ns.
    fn claimed(world: &World, distance_ns: u64) -> Result<(bool, u128), Loss> {
        let Answer { reply, clocks, .. } = ask(world, world, server(), &Seal::Plain)?;
        let truths = world.truth_at(clocks.received);
        let exchange = Exchange {
            reply,
            distance_ns,
            precision_ns: 1,
            ..exchange_of(clocks)
        };
        let claim = proof::claim(&exchange, RateBounds::symmetric(200_000)).unwrap();
        let interval = claim.interval();
        let holds = truths.iter().all(|truth| interval.contains(*truth));
        Ok((holds, interval.width().as_nanos()))
    }

    /// How many reads an exchange makes in which nothing happens.
    fn reads() -> usize {
        let world = World::new(0);
        world.set(server(), Behaviour::HONEST);
        assert_eq!(exchanged(&world, 1_000), Ok(true));
        world.reads()
    }

    /// Anything within a range, and often this.
    fn or_at(this: i64, least: i64, most: i64) -> impl Strategy<Value = i64> {
        prop_oneof![Just(this), least..=most]
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0_i64..50_000_000).prop_map(Event::Pause),
            (0_i64..2_000).prop_map(Event::Suspend),
            (0_i64..5_000_000_000).prop_map(Event::Suspend),
            (-20_000_000_i64..20_000_000).prop_map(Event::Step),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// P1: every split of the round trip, any pause, any suspend and any step between any two reads, with the
        /// kernel's stamps and without, a server that is up to E off when it sends, and jumps by anything between
        /// T2 and T3.
        #[test]
        fn p1_an_exchange_that_counts_contains_utc(
            there in or_at(0, 0, 100_000_000),
            held in or_at(0, 0, 50_000_000),
            back in or_at(0, 0, 100_000_000),
            off_received in -SECOND..SECOND,
            off_sent in or_at(-10_000_000, -10_000_000, 10_000_000),
            drift in or_at(200_000, -200_000, 200_000),
            events in prop::collection::vec((0_usize..28, any_event()), 0..4),
            stamps in any::<bool>(),
        ) {
            let world = World::new(drift);
            let behaviour = Behaviour { there, held, back, off_received, off_sent, ..Behaviour::HONEST };
            world.set(server(), behaviour);
            world.lock().events = events;
            world.lock().stamps = stamps;
            // Nanoseconds for the stamp's unit, for raw time's, and for what lies between two reads of it.
            let contains = exchanged(&world, 10_000_004);
            prop_assert!(contains != Ok(false));
        }

        /// P2: strangers' datagrams change nothing, and of two replies one counts.
        #[test]
        fn p2_a_reply_to_no_request_of_ours_changes_nothing(
            strangers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..15),
            old in any::<u64>(),
        ) {
            let world = World::new(0);
            world.set(server(), Behaviour::HONEST);
            // A reply to another request, whole.
            let replayed = Reply::default().answer(&request(Cookie::from_bits(old))).unwrap();
            {
                let mut state = world.lock();
                state.strangers = strangers;
                state.strangers.push(replayed.to_vec());
                state.twice = true;
            }
            prop_assert_eq!(exchanged(&world, 2), Ok(true));
            prop_assert_eq!(exchanged(&world, 2), Ok(true));
        }
    }

    /// P1 and P7, each read in turn: whatever a sleep falls between, what counts is true, and a sleep
    /// while the request is out leaves nothing.
    #[test]
    fn p1_a_suspend_before_any_read() {
        let reads = reads();
        assert!(reads >= 20, "{reads}");
        for (read, stamps) in (0..reads).flat_map(|read| [(read, true), (read, false)]) {
            for span in [1, 50, 100, 1_000, 10_000_000, 3 * SECOND] {
                // Nothing to spare: the reply leaves when the request does, or comes when it leaves.
                for there in [0, 10_000] {
                    let world = World::new(0);
                    let (held, back) = (0, 0);
                    let behaviour = Behaviour {
                        there,
                        held,
                        back,
                        ..Behaviour::HONEST
                    };
                    world.set(server(), behaviour);
                    world.lock().events = vec![(read, Event::Suspend(span))];
                    world.lock().stamps = stamps;
                    assert_ne!(
                        exchanged(&world, 2),
                        Ok(false),
                        "{span} ns before read {read}, {there} ns there, stamps {stamps}"
                    );
                }
            }
        }
    }

    /// The reads of an exchange: surroundings (3), sandwich (5), coarse and raw time (r1), coarse and
    /// raw time (r4), sandwich (5), surroundings (3).
    #[test]
    fn p7_an_exchange_over_a_suspend_or_a_change_gives_nothing() {
        const SURROUNDINGS: usize = 3;
        const SENT: usize = 9;
        const RECEIVED: usize = 11;
        let reads = reads();
        assert_eq!(reads, 20);
        let while_away = SENT + 1..=RECEIVED;
        let all_the_while = SURROUNDINGS..=reads - SURROUNDINGS;
        for (event, counts_over) in [
            (Event::Suspend(10_000_000), while_away.clone()),
            (Event::Suspend(3 * SECOND), while_away),
            (Event::Marker, all_the_while.clone()),
            (Event::Generation, all_the_while.clone()),
            (Event::Namespace, all_the_while.clone()),
            (Event::Process, all_the_while.clone()),
            (Event::Clocksource, all_the_while),
        ] {
            for read in counts_over {
                let world = World::new(0);
                world.set(server(), Behaviour::HONEST);
                world.lock().events = vec![(read, event)];
                let outcome = exchanged(&world, 2);
                assert_eq!(
                    outcome,
                    Err(Loss::Disturbed),
                    "{event:?} before read {read}"
                );
            }
        }
    }

    /// X8: what a reader is late by is taken off again, and no more.
    #[test]
    fn x8_a_stamp_of_the_kernels_takes_off_what_the_reader_was_late() {
        const LATE: i64 = 10_000_000;
        let mut gained = 0;
        for read in 0..reads() {
            let [with, without] = [true, false].map(|stamps| {
                let world = World::new(0);
                world.set(server(), Behaviour::HONEST);
                world.lock().events = vec![(read, Event::Pause(LATE))];
                world.lock().stamps = stamps;
                let (holds, width) = claimed(&world, 2).unwrap();
                assert!(holds, "{stamps}: a pause before read {read}");
                i64::try_from(width).unwrap()
            });
            assert!(with <= without, "{read}");
            gained = gained.max(without - with);
        }
        // Real time may have run an eighth slow meanwhile.
        assert!(LATE * 7 / 8 < gained && gained <= LATE, "{gained}");
    }

    /// X8: two steps while a reply comes in, back and forth, shift its stamp, and no comparison of clocks shows
    /// that; so the stamp counts only where the kernel tells of steps.
    #[test]
    fn x8_two_steps_while_a_request_is_out() {
        const SENT: usize = 9;
        const RECEIVED: usize = 11;
        let outcome = |tells_of_steps, by: i64| {
            let world = World::new(0);
            let (there, back) = (10_000_000, 0);
            let behaviour = Behaviour {
                there,
                back,
                ..Behaviour::HONEST
            };
            world.set(server(), behaviour);
            let mut state = world.lock();
            state.events = vec![(SENT, Event::Step(-by)), (RECEIVED, Event::Step(by))];
            state.tells_of_steps = tells_of_steps;
            drop(state);
            exchanged(&world, 1_000)
        };
        for by in [-5_000_000, 4_000_000, 9_000_000] {
            assert_eq!(outcome(true, by), Ok(true), "{by}");
        }
        // As it would be otherwise: the test tests something.
        assert_eq!(outcome(false, 4_000_000), Ok(false));
    }

    /// X8: kernels have left a monotonic departure time in a stamp.
    #[test]
    fn x8_a_stamp_from_before_the_request_or_after_the_read_is_none() {
        let clocks = |real, raw| Sandwich {
            mono_before: raw - 100,
            boot: raw - 80,
            real,
            raw,
            mono_after: raw + 20,
        };
        let (real, raw) = (1_795_153_800_000_000_000, 1_000_000_000);
        let after = clocks(real, raw);
        let when = |nanos| raw_when(Timestamp::from_unix_nanos(nanos), &after, 0);
        // A thousandth of a second ago, give or take an eighth.
        let at = when(real - 1_000_000).unwrap();
        assert!(at.lo <= raw - 1_142_857 && raw - 890_000 <= at.hi && at.hi < raw - 880_000);
        // By monotonic time, decades ago: before any request. And in the future: never.
        assert!(when(raw).is_none_or(|at| at.hi < 0));
        assert_eq!(when(real + 1), None);
    }

    #[test]
    fn a_reply_that_took_too_long_is_dropped() {
        let world = World::new(0);
        let back = 3 * SECOND;
        world.set(
            server(),
            Behaviour {
                back,
                ..Behaviour::HONEST
            },
        );
        assert_eq!(exchanged(&world, 2), Err(Loss::NoReply));
    }

    #[test]
    fn a_round_trip_is_what_raw_time_counted_between_sending_and_receiving() {
        for (sent, received, round_trip) in [(7, 7, 0), (1_000, 51_000, 50_000)] {
            let clocks = Clocks {
                sent,
                received,
                ..Clocks::default()
            };
            assert_eq!(exchange_of(clocks).round_trip_ns(), round_trip);
        }
    }
}
