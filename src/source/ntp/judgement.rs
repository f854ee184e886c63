//! What a look makes of all that was heard: a claim of enough servers, or why there is none.

use core::time::Duration;

use super::exchange::Exchange;
use super::leap;
use super::mailbox::{Contents, Looked, Mailbox};
use super::memory::Remembered;
use super::refusal::NtpRefusal;
use super::server::{Heard, Learned, OLDEST, Situation, Testimony, weigh};
use super::settings::{NtpServer, Votes};
use super::status::{NtpServerState, NtpServerStatus};
use crate::machine::Disturbance;
use crate::source::{
    Awaiting, Finding, LeapNotice, Look, LookContext, Refusal, SourceMemory, SyncClaim,
};
use crate::time::{
    Agreement, AgreementError, Claim, ErrorBound, Interval, LeapSecond, RateBounds, agreement,
};

/// A mailbox that is locked for longer than this, in ns, stays so: it was locked when this process
/// was forked, by a thread that is not there.
const LOCKED_FOR_GOOD: i64 = 4_000_000_000;

const BILLION: i64 = 1_000_000_000;

/// What a look rests on beside what was heard.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) votes: Votes,
    /// How many of the configured servers may have a false exchange in memory at any instant.
    pub(super) max_faulty: usize,
    pub(super) margin_ns: u64,
}

/// What a look came to.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    pub(super) finding: Finding,
    pub(super) leap: LeapNotice,
    /// The state of each server.
    pub(super) states: Vec<NtpServerState>,
    /// Servers contradict each other or themselves: they are asked again at once.
    pub(super) in_doubt: bool,
}

/// Looks at what the mailbox holds; never waits for it.
pub(super) fn look(
    context: &LookContext<'_>,
    memory: &mut SourceMemory,
    mailbox: &Mailbox,
    rules: &Rules,
    servers: &[NtpServer],
) -> Look {
    let contents = mailbox.open();
    // Read after the replies, so that whatever happened to the clocks before they came in shows.
    let now = context.machine.sandwich();
    let Some(contents) = contents else {
        return Look::new(locked(memory, now.raw));
    };
    let Some(disruption) = context.machine.disruption() else {
        return Look::new(Finding::Unsettled);
    };
    let mut known = memory.load().unwrap_or_else(|| {
        // What was asked while the clock was being built counts, unless the clocks were disturbed.
        let barrier = if context.may_inherit {
            i64::MIN
        } else {
            now.raw
        };
        Remembered::first(barrier, now.raw, context.rate_serial)
    });
    known.opened = now.raw;
    if known.rate_serial != context.rate_serial {
        known.rate_serial = context.rate_serial;
        known.unlearned_at = now.raw;
    }
    let situation = Situation {
        raw: now.raw,
        boot_offset: now.boot_offset(),
        disruption,
        barrier: known.barrier,
        guess: RateBounds::symmetric(context.max_drift_ppb),
        learned: Learned {
            rate: context.rate,
            since: known.unlearned_at,
            clocksource: context.machine.clocksource(),
        },
        leap: known.leap,
    };
    let judgement = judge(&contents, rules, &situation, &mut known);
    let nothing_connects = known.barrier == now.raw;
    mailbox.note_look(Looked {
        report: report(&contents, servers, &judgement.states, now.raw),
        rate: context.rate,
        in_doubt: (judgement.in_doubt || nothing_connects).then_some(contents.serial),
        #[cfg(feature = "nts")]
        in_force: context.in_force.copied(),
    });
    memory.store(&known);
    Look::new(judgement.finding).with_leap(judgement.leap)
}

pub(super) const fn refused(refusal: NtpRefusal) -> Finding {
    Finding::Refused(Refusal::Ntp(refusal))
}

fn locked(memory: &SourceMemory, raw: i64) -> Finding {
    // Replies are being put in, unless the mailbox has been locked for too long.
    let opened = memory.load().map_or(raw, |known: Remembered| known.opened);
    let for_ns = raw.saturating_sub(opened);
    if for_ns <= LOCKED_FOR_GOOD {
        return Finding::Unsettled;
    }
    refused(NtpRefusal::Silent {
        for_s: for_ns / BILLION,
    })
}

/// Judges what was heard; everything that it depends on is in what it is given.
pub(super) fn judge(
    contents: &Contents,
    rules: &Rules,
    situation: &Situation,
    known: &mut Remembered,
) -> Judgement {
    let anybody_announced = contents
        .servers
        .iter()
        .flat_map(|heard| &heard.exchanges)
        .any(|exchange| leap::announced(exchange.reply.leap).is_some());
    let counts = |claim: &Claim| !leap::is_too_near(claim, anybody_announced);
    let mut floors = known.floors;
    let testimonies: Vec<Testimony> = contents
        .servers
        .iter()
        .zip(&mut floors)
        .map(|(heard, floor)| {
            let testimony = weigh(heard, situation, *floor, counts);
            *floor = testimony.floor;
            testimony
        })
        .collect();
    let contradicted_anew = floors != known.floors;
    known.floors = floors;
    let panel = Panel::of(&testimonies, rules);
    if let Some(until) = stood_still(&testimonies, rules) {
        // Whatever began before it may have stood still, too: only what begins now counts.
        known.barrier = known.barrier.max(until);
        known.claim = None;
        return Judgement {
            finding: Finding::Void(Disturbance::RawStoodStill),
            leap: LeapNotice::None,
            states: panel.states(&testimonies, None),
            in_doubt: true,
        };
    }
    let agreed = panel.agree(&testimonies, rules, situation, &contents.servers);
    let states = panel.states(&testimonies, agreed.as_ref().ok());
    let impossible = testimonies.iter().any(|t| !t.impossible.is_empty());
    let (finding, leap) = match &agreed {
        Ok(agreed) => conclude(agreed, &panel, rules, situation, known),
        Err(refusal) => (refused(*refusal), pending(known.leap, None)),
    };
    Judgement {
        finding,
        leap,
        states,
        in_doubt: contradicted_anew
            || impossible
            || matches!(agreed, Err(NtpRefusal::Disagree { .. })),
    }
}

/// The servers that have a vote now, one each.
#[derive(Debug)]
struct Panel {
    members: Vec<Member>,
    /// For each server the one that speaks for it, if that is another.
    spoken_for_by: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    server: usize,
    exchange: Exchange,
    claim: Claim,
    /// The newest exchange that counts of it and of those it speaks for.
    newest: u64,
}

/// What a panel agreed on, at the raw instant of its newest exchange.
#[derive(Clone, Debug)]
struct Agreed {
    raw: i64,
    agreement: Agreement,
}

impl Panel {
    /// Gives one vote to each configured name, operator and address in use.
    fn of(testimonies: &[Testimony], rules: &Rules) -> Self {
        let mut members: Vec<Member> = Vec::with_capacity(testimonies.len());
        let mut spoken_for_by = vec![None; testimonies.len()];
        for (server, testimony) in testimonies.iter().enumerate() {
            let Some((exchange, claim)) = testimony.representative else {
                continue;
            };
            let vote = |server: usize| rules.votes.of.get(server).copied();
            let is_one = |member: &&mut Member| {
                member.exchange.server == exchange.server || vote(member.server) == vote(server)
            };
            let Some(member) = members.iter_mut().find(is_one) else {
                members.push(Member {
                    server,
                    exchange,
                    claim,
                    newest: testimony.newest,
                });
                continue;
            };
            member.newest = member.newest.max(testimony.newest);
            let width = |claim: &Claim| claim.interval().width();
            if width(&claim) < width(&member.claim) {
                (member.exchange, member.claim) = (exchange, claim);
            }
            if let Some(place) = spoken_for_by.get_mut(server) {
                *place = Some(member.server);
            }
        }
        Self {
            members,
            spoken_for_by,
        }
    }

    fn agree(
        &self,
        testimonies: &[Testimony],
        rules: &Rules,
        situation: &Situation,
        heard: &[Heard],
    ) -> Result<Agreed, NtpRefusal> {
        // All but `max_faulty` of the *representatives* must agree, not of the configured servers:
        // an attacker who silences two honest ones of five would make three out of three agree on
        // what two liars say. With fewer representatives the stretch is wider, never false.
        let raw = self
            .members
            .iter()
            .map(|member| member.exchange.clocks.received)
            .max()
            .unwrap_or(situation.raw);
        let carried: Result<Vec<Interval>, _> = self
            .members
            .iter()
            .map(|member| member.claim.carry(raw))
            .collect();
        // What leaves the range of timestamps says nothing of now.
        let carried = carried.map_err(|_| NtpRefusal::Inconsistent)?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match agreement(&carried, rules.max_faulty) {
            Ok(agreement) => Ok(Agreed { raw, agreement }),
            Err(AgreementError::NoAgreement {
                wanted, overlap, ..
            }) => Err(NtpRefusal::Disagree {
                agreeing: count(overlap),
                needed: count(wanted),
            }),
            Err(_) => Err(shortfall(
                testimonies,
                heard,
                situation.raw,
                NtpRefusal::TooFew {
                    answered: count(self.members.len()),
                    needed: count(rules.max_faulty.saturating_add(1)),
                },
            )),
        }
    }

    fn states(&self, testimonies: &[Testimony], agreed: Option<&Agreed>) -> Vec<NtpServerState> {
        let state = |(server, testimony): (usize, &Testimony)| {
            let speaker = self.spoken_for_by.get(server).copied().flatten();
            let place = self.members.iter().position(|m| m.server == server);
            match (speaker, place, agreed) {
                (Some(of), _, _) => NtpServerState::Duplicate { of },
                (None, None, _) => testimony
                    .refusal
                    .map_or(NtpServerState::Waiting, NtpServerState::Refused),
                (None, Some(_), None) => NtpServerState::Undecided,
                (None, Some(place), Some(agreed)) => agreed
                    .agreement
                    .falsetickers()
                    .iter()
                    .find(|falseticker| falseticker.index == place)
                    .map_or(NtpServerState::Agreeing, |falseticker| {
                        NtpServerState::Falseticker(falseticker.contradiction)
                    }),
            }
        };
        testimonies.iter().enumerate().map(state).collect()
    }
}

/// Returns why too few servers have a vote: what all of them are refused for, or that none answers,
/// or how many more it takes.
fn shortfall(
    testimonies: &[Testimony],
    heard: &[Heard],
    raw: i64,
    too_few: NtpRefusal,
) -> NtpRefusal {
    let Some(last) = heard.iter().filter_map(|heard| heard.replied_at).max() else {
        // Nothing but what a server that has to prove its name could not prove.
        let mut refusals = heard.iter().map(|heard| heard.refusal);
        let first = refusals.next().flatten();
        return match first {
            Some(refusal) if refusals.all(|other| other == first) => refusal,
            _ => NtpRefusal::NoAnswer,
        };
    };
    let silent_for = raw.saturating_sub(last);
    if silent_for > OLDEST {
        return NtpRefusal::Silent {
            for_s: silent_for / BILLION,
        };
    }
    let mut reasons = testimonies
        .iter()
        .zip(heard)
        .map(|(testimony, heard)| testimony.refusal.or(heard.refusal));
    let first = reasons.next().flatten();
    match first {
        Some(reason) if reasons.all(|other| other == first) => reason,
        _ => too_few,
    }
}

fn stood_still(testimonies: &[Testimony], rules: &Rules) -> Option<i64> {
    // Where more time passed at several servers than here, raw time stood still. One server that
    // says so is at fault itself, unless it is the only one.
    let impossible = || testimonies.iter().flat_map(|t| &t.impossible);
    let is_alone = testimonies.len() == 1;
    let enough = |round: u64| {
        let of_round = |t: &&Testimony| t.impossible.iter().any(|e| e.round == round);
        let servers = testimonies.iter().filter(of_round).count();
        is_alone || (rules.max_faulty >= 1 && servers > rules.max_faulty)
    };
    impossible()
        .filter(|exchange| enough(exchange.round))
        .map(|exchange| exchange.clocks.received)
        .max()
}

fn conclude(
    agreed: &Agreed,
    panel: &Panel,
    rules: &Rules,
    situation: &Situation,
    known: &mut Remembered,
) -> (Finding, LeapNotice) {
    let interval = agreed.agreement.interval();
    // At the guess: what was learned is assumed for a span from when it was, and the clock narrows the
    // claim by what it learns of this one.
    let claim = Claim::new(agreed.raw, interval, situation.guess);
    let indicators = panel.members.iter().map(|m| m.exchange.reply.leap);
    let elected = leap::elected(indicators, rules.max_faulty, &interval);
    if let Some(elected) = elected {
        known.leap = Some(elected);
    } else if let Some(leap) = &known.leap {
        if leap::is_over(leap, &interval) || leap::is_ahead(leap, &interval) {
            known.leap = None;
        }
    }
    let notice = pending(known.leap, Some(&interval));
    if let Some(leap) = known.leap {
        if leap::is_too_near(&claim, true) {
            let because = Awaiting::LeapSecond;
            let finding = Finding::Refused(Refusal::AwaitingWrite { because });
            return (finding, notice);
        }
        if leap::is_unsettled(&leap, &interval) && !fits_before(&claim, &leap, known) {
            return (refused(NtpRefusal::LeapUnsettled), notice);
        }
    }
    let newest = |member: &Member| member.newest;
    let anew = panel
        .members
        .iter()
        .map(newest)
        .filter(|n| *n > known.written);
    // One of these is true, then. Of fewer the claim of before is carried on instead, so that its
    // age is told: a claim made of old exchanges again and again would never grow old.
    if anew.count() <= rules.max_faulty {
        return (Finding::Nothing, notice);
    }
    known.written = panel.members.iter().map(newest).max().unwrap_or(0);
    known.claim = Some((agreed.raw, interval));
    let bound = itemised(panel, &interval, rules);
    (Finding::Write(SyncClaim { claim, bound }), notice)
}

/// Returns true if an agreement of after a leap second has an instant in common with the last claim
/// of before it, carried over the leap second.
fn fits_before(claim: &Claim, leap: &LeapSecond, known: &Remembered) -> bool {
    let Some((raw, interval)) = known.claim else {
        return true;
    };
    let leap = Some(*leap).filter(|leap| interval.latest() < leap.boundary);
    let before = Claim::new(raw, interval, claim.rate()).with_leap(leap);
    before.contradiction(claim).is_none()
}

fn pending(leap: Option<LeapSecond>, now: Option<&Interval>) -> LeapNotice {
    let is_due = |leap: &LeapSecond| now.is_none_or(|now| now.latest() < leap.boundary);
    leap.filter(is_due)
        .map_or(LeapNotice::None, LeapNotice::Pending)
}

/// Returns what half of the width is made of: the margin, half of the least round trip, and what the
/// servers say of themselves.
fn itemised(panel: &Panel, interval: &Interval, rules: &Rules) -> ErrorBound {
    let half = u64::try_from(interval.epsilon().as_nanos()).unwrap_or(u64::MAX);
    let round_trips = panel.members.iter().map(|m| m.exchange.round_trip_ns());
    let margin_ns = rules.margin_ns.min(half);
    let bracket_ns = round_trips
        .min()
        .map_or(0, |trip| trip.div_ceil(2))
        .min(half - margin_ns);
    ErrorBound {
        reported_ns: half - margin_ns - bracket_ns,
        margin_ns,
        bracket_ns,
        ..ErrorBound::default()
    }
}

fn report(
    contents: &Contents,
    servers: &[NtpServer],
    states: &[NtpServerState],
    raw: i64,
) -> Vec<NtpServerStatus> {
    let nanos = |ns: i64| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    contents
        .servers
        .iter()
        .zip(servers)
        .zip(states)
        .map(|((heard, server), state)| {
            let last = heard.exchanges.last();
            let state = match (*state, heard.refusal) {
                (NtpServerState::Waiting, Some(refusal)) => NtpServerState::Refused(refusal),
                (state, _) => state,
            };
            NtpServerStatus {
                name: server.name(),
                address: heard.address,
                state,
                round_trip: last.map(|e| Duration::from_nanos(e.round_trip_ns())),
                root_distance: last.map(|e| Duration::from_nanos(e.distance_ns)),
                stratum: last.map(|e| e.reply.stratum),
                reference_id: last.map(|e| e.reply.reference_id),
                age: last.map(|e| nanos(raw.saturating_sub(e.clocks.received))),
                interval: nanos(heard.interval_ns),
                losses: heard.losses,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::exchange::tests::exchange_of;
    use super::super::exchange::{Clocks, Transport};
    use super::super::mailbox::Limits;
    use super::super::packet::Reply;
    use super::super::stamp::Stamp;
    use super::super::world::{Answer, Behaviour, World};
    use super::*;
    use crate::machine::{Disruption, OffsetRange};
    use crate::time::{LeapKind, Timestamp};

    const MS: i64 = 1_000_000;
    const MORNING: i64 = 1_795_153_800 * BILLION;
    const DRIFT: u32 = 200_000;

    /// One exchange as it came about: UTC is [`MORNING`] and what raw time counts.
    #[derive(Clone, Copy, Debug)]
    struct Trip {
        serial: u64,
        round: u64,
        port: u16,
        came_at: i64,
        there: i64,
        held: i64,
        back: i64,
        off: i64,
        distance: i64,
        leap: u8,
        /// What the server says to have held it for, beyond what it did.
        held_more: i64,
        /// UTC less what raw time counts.
        morning: i64,
    }

    const TRIP: Trip = Trip {
        serial: 1,
        round: 1,
        port: 1,
        came_at: 100 * BILLION,
        there: 5 * MS,
        held: 20_000,
        back: 5 * MS,
        off: 0,
        distance: 2 * MS,
        leap: 0,
        held_more: 0,
        morning: MORNING,
    };

    fn exchange(trip: Trip) -> Exchange {
        let left = trip.came_at - trip.back;
        let stamp = |raw: i64| Stamp::at(Timestamp::from_unix_nanos(trip.morning + raw + trip.off));
        Exchange {
            serial: trip.serial,
            round: trip.round,
            server: SocketAddr::from(([192, 0, 2, 1], trip.port)),
            reply: Reply {
                stratum: 2,
                leap: trip.leap,
                received: stamp(left - trip.held - trip.held_more),
                sent: stamp(left),
                ..Reply::default()
            },
            // A nanosecond for the stamp's unit.
            distance_ns: trip.distance.unsigned_abs() + 1,
            precision_ns: 1,
            ..exchange_of(Clocks {
                sent: left - trip.held - trip.there,
                received: trip.came_at,
                ..Clocks::default()
            })
        }
    }

    fn heard(trips: &[Trip]) -> Heard {
        Heard {
            exchanges: trips.iter().copied().map(exchange).collect(),
            replied_at: trips.last().map(|trip| trip.came_at),
            ..Heard::default()
        }
    }

    fn contents(servers: &[&[Trip]]) -> Contents {
        Contents {
            servers: servers.iter().map(|trips| heard(trips)).collect(),
            serial: 1,
        }
    }

    fn rules(servers: usize, max_faulty: usize) -> Rules {
        Rules {
            votes: Votes {
                of: (0..servers).collect(),
                count: servers,
            },
            max_faulty,
            margin_ns: 0,
        }
    }

    fn situation(raw: i64, known: &Remembered) -> Situation {
        Situation {
            raw,
            boot_offset: OffsetRange::default(),
            disruption: Disruption::default(),
            barrier: known.barrier,
            guess: RateBounds::symmetric(DRIFT),
            learned: Learned {
                rate: RateBounds::symmetric(DRIFT),
                since: known.unlearned_at,
                clocksource: 0,
            },
            leap: known.leap,
        }
    }

    fn first() -> Remembered {
        Remembered::first(i64::MIN, 0, 0)
    }

    fn judge_at(raw: i64, servers: &[&[Trip]], f: usize, known: &mut Remembered) -> Judgement {
        let rules = rules(servers.len(), f);
        let situation = situation(raw, known);
        judge(&contents(servers), &rules, &situation, known)
    }

    fn written(judgement: &Judgement) -> Option<Claim> {
        match judgement.finding {
            Finding::Write(sync) => {
                // What it is made of covers it.
                let total = sync.bound.total();
                assert!(total >= sync.claim.interval().epsilon());
                Some(sync.claim)
            }
            _ => None,
        }
    }

    fn is_true(claim: &Claim) -> bool {
        let truth = Timestamp::from_unix_nanos(MORNING + claim.raw());
        claim.interval().contains(truth)
    }

    fn any_trip() -> impl Strategy<Value = Trip> {
        (
            (0_i64..40, 0_i64..20 * MS, 0_i64..20 * MS),
            (0_i64..10 * MS, -1_000_i64..=1_000),
        )
            .prop_map(|((age, there, back), (distance, share))| Trip {
                came_at: TRIP.came_at - age * BILLION,
                there,
                back,
                distance,
                off: distance * share / 1_000,
                ..TRIP
            })
    }

    /// Servers, how many of them lie (the first ones), and by how much.
    fn any_servers() -> impl Strategy<Value = (Vec<Trip>, usize)> {
        prop::collection::vec((any_trip(), -60 * MS..60 * MS), 1..=7).prop_flat_map(|servers| {
            let most = (servers.len() - 1) / 2;
            (0..=most).prop_map(move |liars| {
                let trip = |(index, (trip, lie)): (usize, &(Trip, i64))| Trip {
                    port: u16::try_from(index).unwrap(),
                    off: if index < liars { *lie } else { trip.off },
                    ..*trip
                };
                let trips = servers.iter().enumerate().map(trip).collect();
                (trips, most)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// P4 and P5: with at most f false and any subset silent, an agreement contains UTC, and no
        /// true server is named.
        #[test]
        fn p4_p5_the_agreement_contains_utc_whoever_is_silent((trips, f) in any_servers()) {
            for speaking in 0_u32..1 << trips.len() {
                let servers: Vec<&[Trip]> = trips
                    .iter()
                    .enumerate()
                    .map(|(index, trip)| match speaking >> index & 1 {
                        1 => core::slice::from_ref(trip),
                        _ => &[],
                    })
                    .collect();
                let judgement = judge_at(TRIP.came_at, &servers, f, &mut first());
                let claim = written(&judgement);
                prop_assert!(claim.is_none_or(|claim| is_true(&claim)), "{speaking:b}");
                if usize::try_from(speaking.count_ones()).unwrap() <= f {
                    prop_assert!(claim.is_none());
                }
                for (trip, state) in trips.iter().zip(&judgement.states) {
                    let honest = trip.off.abs() <= trip.distance;
                    let named = matches!(state, NtpServerState::Falseticker(_));
                    prop_assert!(!(honest && named));
                }
            }
        }

        /// P11: of exchanges of any age the one that represents a server is within the window.
        #[test]
        fn p11_no_representative_is_older_than_the_window(
            ages in prop::collection::vec(0_i64..10_000, 1..=8),
            widths in prop::collection::vec(0_i64..20 * MS, 8),
        ) {
            let now = 20_000 * BILLION;
            let mut ages = ages;
            ages.sort_unstable_by(|a, b| b.cmp(a));
            let trips: Vec<Trip> = ages
                .iter()
                .zip(widths)
                .zip(1..)
                .map(|((age, width), serial)| Trip {
                    came_at: now - age * BILLION,
                    distance: width,
                    serial,
                    ..TRIP
                })
                .collect();
            let testimony = weigh(&heard(&trips), &situation(now, &first()), 0, |_| true);
            match testimony.representative {
                Some((exchange, _)) => {
                    prop_assert!(now - exchange.clocks.received <= OLDEST);
                    prop_assert!(testimony.newest > 0);
                }
                None => prop_assert!(ages.iter().all(|age| age * BILLION > OLDEST)),
            }
        }
    }

    /// The attack on "n − f of those that answer": two honest ones of five are silenced.
    #[test]
    fn p5_silencing_honest_servers_makes_no_claim_false() {
        let at = |port, earliest: i64, latest: i64| Trip {
            port,
            there: 0,
            held: 0,
            back: 0,
            off: (earliest + latest) / 2 * MS,
            distance: (latest - earliest) / 2 * MS,
            ..TRIP
        };
        // Truth is 0; the first is honest, two lie.
        let (honest, liar, other) = (at(0, -2, 8), at(1, 6, 14), at(2, 5, 17));
        let judgement = judge_at(
            TRIP.came_at,
            &[&[honest], &[liar], &[other], &[], &[]],
            2,
            &mut first(),
        );
        assert!(is_true(&written(&judgement).unwrap()));
    }

    /// P11: a claim of exchanges that are hours old is not made again because one server answers.
    #[test]
    fn p11_one_server_that_answers_makes_no_claim_of_old_exchanges_new() {
        let mut known = first();
        let of = |port, serial, came_at| Trip {
            port,
            serial,
            came_at,
            ..TRIP
        };
        let start = TRIP.came_at;
        let [a, b, c] = [1, 2, 3].map(|serial| of(u16::try_from(serial).unwrap(), serial, start));
        let judgement = judge_at(start, &[&[a], &[b], &[c]], 1, &mut known);
        assert!(written(&judgement).is_some());
        let mut trips = vec![a];
        for (serial, minutes) in (4..).zip(1..60) {
            let now = start + minutes * 60 * BILLION;
            trips.push(of(1, serial, now));
            let kept = &trips[trips.len().saturating_sub(8)..];
            let judgement = judge_at(now, &[kept, &[b], &[c]], 1, &mut known);
            let expected = if now - start <= OLDEST {
                Finding::Nothing
            } else {
                refused(NtpRefusal::TooFew {
                    answered: 1,
                    needed: 2,
                })
            };
            assert_eq!(judgement.finding, expected, "after {minutes} minutes");
        }
    }

    #[test]
    fn r2_a_server_that_contradicts_itself_has_no_vote_until_two_agree() {
        let mut known = first();
        let of = |serial, off: i64, distance: i64| Trip {
            serial,
            came_at: TRIP.came_at + i64::try_from(serial).unwrap() * BILLION,
            off: off * MS,
            distance: distance * MS,
            ..TRIP
        };
        let now = TRIP.came_at + 60 * BILLION;
        // Narrow and false, then wide and true: the narrow one must not outlive what excludes it.
        let (lie, truth, again) = (of(1, 500, 1), of(2, 0, 40), of(3, 0, 40));
        let judge = |trips: &[Trip], known: &mut Remembered| judge_at(now, &[trips], 0, known);
        assert!(written(&judge(&[lie], &mut known)).is_some());
        let doubtful = judge(&[lie, truth], &mut known);
        assert_eq!(doubtful.finding, refused(NtpRefusal::ContradictsItself));
        assert!(doubtful.in_doubt);
        // Nor once the one that excluded it is all that is left of the eight.
        let still = judge(&[truth], &mut known);
        assert_eq!(still.finding, refused(NtpRefusal::ContradictsItself));
        let settled = judge(&[lie, truth, again], &mut known);
        assert!(is_true(&written(&settled).unwrap()));
    }

    /// Bounds on the rate in force since this raw instant.
    fn learned(lo_ppb: i32, hi_ppb: i32, since: i64) -> Learned {
        Learned {
            rate: RateBounds::new(lo_ppb, hi_ppb).unwrap(),
            since,
            clocksource: 0,
        }
    }

    /// What two servers that must agree come to, of which one was asked a while ago.
    fn two(now: i64, old: Trip, learned: Learned) -> Option<Claim> {
        let fresh = Trip {
            port: 2,
            came_at: now,
            ..TRIP
        };
        let mut known = first();
        let situation = Situation {
            learned,
            ..situation(now, &known)
        };
        let heard = contents(&[&[old], &[fresh]]);
        written(&judge(&heard, &rules(2, 0), &situation, &mut known))
    }

    #[test]
    fn r5_exchanges_are_carried_with_what_was_learned() {
        let now = TRIP.came_at + 1_000 * BILLION;
        // A narrow one of before: carried at the guess it says nothing beside the fresh one.
        let sharp = Trip {
            there: MS / 10,
            back: MS / 10,
            distance: MS / 10,
            ..TRIP
        };
        let width = |rate: i32| {
            let claim = two(now, sharp, learned(-rate, rate, i64::MIN)).unwrap();
            assert!(is_true(&claim));
            claim.interval().width()
        };
        assert!(width(1_000) < Duration::from_millis(3));
        assert!(width(200_000) > Duration::from_millis(13));
    }

    /// The oscillator ran 100 ppm fast until what was learned was forgotten.
    #[test]
    fn r4_what_is_forgotten_is_forgotten_of_the_exchanges_too() {
        let now = TRIP.came_at + 1_000 * BILLION;
        let old = Trip {
            morning: MORNING - 100 * MS,
            ..TRIP
        };
        let bounds = |since| learned(-10_000, 10_000, since);
        let claim = two(now, old, bounds(old.came_at + BILLION)).unwrap();
        assert!(is_true(&claim));
        // Or another clock source counted.
        let other_counter = Learned {
            clocksource: 1,
            ..bounds(i64::MIN)
        };
        assert!(is_true(&two(now, old, other_counter).unwrap()));
        // Neither happened, and such an exchange is a lie: the two servers cannot both be true.
        assert_eq!(two(now, old, bounds(i64::MIN)), None);
    }

    /// +60 ppm until the window of what was learned began, and +30 in it: what was learned says nothing of
    /// the exchange of before, and that one is too old to speak for its server.
    #[test]
    fn p11_r4_a_rate_that_changed_before_the_window() {
        let now = 20_000 * BILLION;
        // UTC came on by so much more than raw time in the 1 500 s before the window, and in it.
        let (before, within) = (90 * MS, 60 * MS);
        let old = Trip {
            came_at: now - 3_500 * BILLION,
            morning: MORNING - before - within,
            ..TRIP
        };
        let fresh = Trip {
            serial: 2,
            came_at: now,
            ..TRIP
        };
        let mut known = first();
        let situation = Situation {
            learned: learned(-20_000, 30_000, i64::MIN),
            ..situation(now, &known)
        };
        let heard = contents(&[&[old, fresh]]);
        let judgement = judge(&heard, &rules(1, 0), &situation, &mut known);
        let claim = written(&judgement).expect("no contradiction");
        assert!(is_true(&claim));
        let alone = judge(&contents(&[&[old]]), &rules(1, 0), &situation, &mut first());
        assert_eq!(written(&alone), None);
    }

    #[test]
    fn x4_an_exchange_that_began_before_a_void_does_not_count() {
        let mut known = Remembered::first(TRIP.came_at - MS, 0, 0);
        let judgement = judge_at(TRIP.came_at, &[&[TRIP]], 0, &mut known);
        assert!(written(&judgement).is_none());
        let next = Trip {
            serial: 2,
            came_at: TRIP.came_at + BILLION,
            ..TRIP
        };
        let judgement = judge_at(next.came_at, &[&[TRIP, next]], 0, &mut known);
        assert_eq!(written(&judgement).unwrap().raw(), next.came_at);
    }

    #[test]
    fn x4_an_exchange_over_a_suspend_or_a_pause_that_is_told_does_not_count() {
        let mut known = first();
        let now = situation(TRIP.came_at, &known);
        let slept = Situation {
            boot_offset: OffsetRange { lo: 1, hi: 2 },
            ..now
        };
        let paused = Situation {
            disruption: Disruption {
                marker: 1,
                generation: 0,
            },
            ..now
        };
        for (situation, counts) in [(now, true), (slept, false), (paused, false)] {
            let judgement = judge(&contents(&[&[TRIP]]), &rules(1, 0), &situation, &mut known);
            assert_eq!(written(&judgement).is_some(), counts);
            known = first();
        }
    }

    #[test]
    fn x6_one_server_that_held_a_request_for_too_long_is_at_fault_itself() {
        let jumps = Trip {
            held_more: BILLION,
            ..TRIP
        };
        let (b, c) = (Trip { port: 2, ..TRIP }, Trip { port: 3, ..TRIP });
        let judgement = judge_at(TRIP.came_at, &[&[jumps], &[b], &[c]], 1, &mut first());
        assert!(is_true(&written(&judgement).unwrap()));
        // The second, less the rest of the round trip and 200 ppm of that.
        let by_us = 989_997;
        assert_eq!(
            judgement.states[0],
            NtpServerState::Refused(NtpRefusal::BeyondRoundTrip { by_us })
        );
        assert!(judgement.in_doubt);
        let sound = judge_at(TRIP.came_at, &[&[TRIP], &[b], &[c]], 1, &mut first());
        assert!(!sound.in_doubt);
    }

    #[test]
    fn x6_several_that_did_in_one_round_mean_that_raw_time_stood_still() {
        let jumps = |port, round| Trip {
            held_more: BILLION,
            port,
            round,
            ..TRIP
        };
        let honest = |port| Trip { port, ..TRIP };
        let stood_still = Finding::Void(Disturbance::RawStoodStill);
        let mut known = first();
        let frozen: [&[Trip]; 3] = [&[jumps(1, 7)], &[jumps(2, 7)], &[honest(3)]];
        let judgement = judge_at(TRIP.came_at, &frozen, 1, &mut known);
        assert_eq!(judgement.finding, stood_still);
        // What began before it does not count, and what begins after it does.
        assert_eq!(known.barrier, TRIP.came_at);
        let judgement = judge_at(TRIP.came_at, &frozen, 1, &mut known);
        assert!(written(&judgement).is_none());
        let later = |port| Trip {
            came_at: TRIP.came_at + BILLION,
            serial: 2,
            round: 8,
            ..honest(port)
        };
        let servers: [&[Trip]; 3] = [&[later(1)], &[later(2)], &[]];
        let judgement = judge_at(later(1).came_at, &servers, 1, &mut known);
        assert!(is_true(&written(&judgement).unwrap()));
        // In two rounds it is two servers' fault.
        let apart: [&[Trip]; 3] = [&[jumps(1, 7)], &[jumps(2, 8)], &[honest(3)]];
        let judgement = judge_at(TRIP.came_at, &apart, 1, &mut first());
        assert_ne!(judgement.finding, stood_still);
        // No other can say of the only one.
        let judgement = judge_at(TRIP.came_at, &[&[jumps(1, 1)]], 0, &mut first());
        assert_eq!(judgement.finding, stood_still);
    }

    #[test]
    fn g4_two_names_of_one_address_have_one_vote() {
        // Three names, two of them at the liar's address: alone they would be two of three.
        let liar = Trip {
            off: 80 * MS,
            ..TRIP
        };
        let honest = Trip { port: 3, ..TRIP };
        let judgement = judge_at(
            TRIP.came_at,
            &[&[liar], &[liar], &[honest]],
            1,
            &mut first(),
        );
        assert!(is_true(&written(&judgement).unwrap()));
        assert_eq!(judgement.states[1], NtpServerState::Duplicate { of: 0 });
    }

    #[test]
    fn disagreement_is_refused_with_the_figures() {
        let off = |port, off| Trip {
            port,
            off: off * MS,
            ..TRIP
        };
        let servers: [&[Trip]; 3] = [&[off(1, 0)], &[off(2, 100)], &[off(3, 200)]];
        let judgement = judge_at(TRIP.came_at, &servers, 1, &mut first());
        let disagree = NtpRefusal::Disagree {
            agreeing: 1,
            needed: 2,
        };
        assert_eq!(judgement.finding, refused(disagree));
        assert!(judgement.in_doubt);
        assert!(
            judgement
                .states
                .iter()
                .all(|s| *s == NtpServerState::Undecided)
        );
    }

    /// 2026-12-31T12:00:00Z less the raw time of a trip.
    const NEW_YEARS_EVE: i64 = 20_818 * 86_400 * BILLION + 43_200 * BILLION - 100 * BILLION;

    #[test]
    fn s1_a_lone_announcement_is_nobodys_leap_second() {
        let of = |port, leap| Trip {
            port,
            leap,
            morning: NEW_YEARS_EVE,
            ..TRIP
        };
        let leap_of = |leaps: [u8; 3]| {
            let [a, b, c] = [1, 2, 3].map(|port| of(port, leaps[usize::from(port) - 1]));
            judge_at(TRIP.came_at, &[&[a], &[b], &[c]], 1, &mut first()).leap
        };
        assert_eq!(leap_of([1, 0, 0]), LeapNotice::None);
        let boundary = Timestamp::from_unix_nanos(20_819 * 86_400 * BILLION);
        let kind = LeapKind::Inserted;
        let pending = LeapNotice::Pending(LeapSecond { boundary, kind });
        assert_eq!(leap_of([1, 1, 0]), pending);
    }

    #[test]
    fn s3_a_majority_that_leaps_late_is_not_believed() {
        let mut known = first();
        let noon = |serial| Trip {
            serial,
            port: u16::try_from(serial).unwrap(),
            leap: 1,
            morning: NEW_YEARS_EVE,
            ..TRIP
        };
        let (a, b, c) = (noon(1), noon(2), noon(3));
        let judgement = judge_at(TRIP.came_at, &[&[a], &[b], &[c]], 1, &mut known);
        assert!(written(&judgement).is_some());
        // Ten minutes after midnight: twelve hours and ten minutes, and the second itself.
        let came_at = TRIP.came_at + (43_200 + 600 + 1) * BILLION;
        let after = |port, serial, leapt: bool| Trip {
            serial,
            port,
            came_at,
            morning: NEW_YEARS_EVE - if leapt { BILLION } else { 0 },
            ..TRIP
        };
        let late: [&[Trip]; 3] = [
            &[after(1, 4, false)],
            &[after(2, 5, false)],
            &[after(3, 6, true)],
        ];
        let judgement = judge_at(came_at, &late, 1, &mut known);
        // Twelve hours at 200 ppm are 8.6 s: too far to tell. So the claim of before is one of just
        // before midnight.
        assert!(written(&judgement).is_some());
        let mut known = first();
        known.leap = Some(LeapSecond {
            boundary: Timestamp::from_unix_nanos(20_819 * 86_400 * BILLION),
            kind: LeapKind::Inserted,
        });
        let evening = TRIP.came_at + (43_200 - 60) * BILLION;
        let before = Interval::around(
            Timestamp::from_unix_nanos(NEW_YEARS_EVE + evening),
            Duration::from_millis(5),
        );
        known.claim = Some((evening, before.unwrap()));
        let judgement = judge_at(came_at, &late, 1, &mut known);
        assert_eq!(judgement.finding, refused(NtpRefusal::LeapUnsettled));
        let right: [&[Trip]; 3] = [
            &[after(1, 7, true)],
            &[after(2, 8, true)],
            &[after(3, 9, true)],
        ];
        let judgement = judge_at(came_at, &right, 1, &mut known);
        let claim = written(&judgement).unwrap();
        let truth = Timestamp::from_unix_nanos(NEW_YEARS_EVE - BILLION + came_at);
        assert!(claim.interval().contains(truth));
    }

    #[test]
    fn half_of_a_width_is_itemised_to_the_nanosecond() {
        let rules = Rules {
            margin_ns: 300,
            ..rules(2, 0)
        };
        let known = first();
        let servers = contents(&[
            &[TRIP],
            &[Trip {
                port: 2,
                there: 3,
                ..TRIP
            }],
        ]);
        let situation = situation(TRIP.came_at, &known);
        let testimonies: Vec<Testimony> = servers
            .servers
            .iter()
            .map(|heard| weigh(heard, &situation, 0, |_| true))
            .collect();
        let panel = Panel::of(&testimonies, &rules);
        let of = |half: i64| {
            let at = Timestamp::from_unix_nanos;
            itemised(&panel, &Interval::new(at(-half), at(half)).unwrap(), &rules)
        };
        // The shorter trip is of 5 020 003 ns.
        for (half, margin_ns, bracket_ns, reported_ns) in [
            (10_000_000, 300, 2_510_002, 7_489_698),
            (2_510_302, 300, 2_510_002, 0),
            (1_000, 300, 700, 0),
            (200, 200, 0, 0),
        ] {
            let bound = ErrorBound {
                reported_ns,
                margin_ns,
                bracket_ns,
                ..ErrorBound::default()
            };
            assert_eq!(of(half), bound, "{half}");
        }
    }

    #[test]
    fn a_leap_second_is_pending_until_the_interval_reaches_it() {
        let at = Timestamp::from_unix_nanos;
        let leap = LeapSecond {
            boundary: at(7_000),
            kind: LeapKind::Inserted,
        };
        let told = |latest| pending(Some(leap), Some(&Interval::new(at(0), at(latest)).unwrap()));
        assert_eq!(told(6_999), LeapNotice::Pending(leap));
        assert_eq!(told(7_000), LeapNotice::None);
        assert_eq!(told(7_001), LeapNotice::None);
        assert_eq!(pending(Some(leap), None), LeapNotice::Pending(leap));
        assert_eq!(pending(None, None), LeapNotice::None);
    }

    #[test]
    fn a_mailbox_that_is_locked_for_more_than_four_seconds_is_silence() {
        let mut memory = SourceMemory::default();
        assert_eq!(locked(&memory, 50 * BILLION), Finding::Unsettled);
        let mut known = first();
        known.opened = 10 * BILLION;
        memory.store(&known);
        let silent = |for_s| refused(NtpRefusal::Silent { for_s });
        assert_eq!(locked(&memory, 14 * BILLION), Finding::Unsettled);
        assert_eq!(locked(&memory, 14 * BILLION + 1), silent(4));
        assert_eq!(locked(&memory, 23 * BILLION + MS), silent(13));
    }

    #[test]
    fn why_too_few_answer_is_told_where_all_are_refused_alike() {
        let too_few = NtpRefusal::TooFew {
            answered: 0,
            needed: 1,
        };
        let (denied, limited) = (NtpRefusal::Denied, NtpRefusal::RateLimited);
        let last = 100 * BILLION;
        let told = |raw, replied_at, refusals: &[Option<NtpRefusal>]| {
            let heard: Vec<Heard> = refusals
                .iter()
                .map(|refusal| Heard {
                    replied_at,
                    refusal: *refusal,
                    ..Heard::default()
                })
                .collect();
            let testimonies = vec![Testimony::default(); heard.len()];
            shortfall(&testimonies, &heard, raw, too_few)
        };
        for (refusals, never, lately) in [
            (vec![Some(denied), Some(denied)], denied, denied),
            (
                vec![Some(denied), Some(limited)],
                NtpRefusal::NoAnswer,
                too_few,
            ),
            (vec![Some(denied), None], NtpRefusal::NoAnswer, too_few),
            (vec![None, None], NtpRefusal::NoAnswer, too_few),
        ] {
            assert_eq!(told(last, None, &refusals), never, "{refusals:?}");
            assert_eq!(told(last, Some(last), &refusals), lately, "{refusals:?}");
        }
        let for_s = OLDEST / BILLION;
        assert_eq!(told(last + OLDEST, Some(last), &[None]), too_few);
        assert_eq!(
            told(last + OLDEST + 1, Some(last), &[None]),
            NtpRefusal::Silent { for_s }
        );
    }

    #[test]
    fn of_two_names_of_one_server_the_narrower_exchange_speaks_and_of_equal_ones_the_first() {
        let of = |serial, distance| Trip {
            serial,
            distance,
            ..TRIP
        };
        for (second, speaks) in [(MS, 2), (2 * MS, 1), (3 * MS, 1)] {
            let servers = contents(&[&[of(1, 2 * MS)], &[of(2, second)]]);
            let situation = situation(TRIP.came_at, &first());
            let testimonies: Vec<Testimony> = servers
                .servers
                .iter()
                .map(|heard| weigh(heard, &situation, 0, |_| true))
                .collect();
            let panel = Panel::of(&testimonies, &rules(2, 0));
            let [member] = panel.members[..] else {
                panic!("{panel:?}");
            };
            assert_eq!(
                (member.exchange.serial, member.newest),
                (speaks, 2),
                "{second}"
            );
        }
    }

    #[test]
    fn a_leap_second_that_is_called_off_or_over_is_forgotten() {
        let noon = Trip {
            morning: NEW_YEARS_EVE,
            ..TRIP
        };
        let now = NEW_YEARS_EVE + TRIP.came_at;
        for (boundary, remembered) in [
            (now + 43_200 * BILLION, false),
            (now - 1_800 * BILLION, true),
            (now - 7_200 * BILLION, false),
        ] {
            let mut known = first();
            known.leap = Some(LeapSecond {
                boundary: Timestamp::from_unix_nanos(boundary),
                kind: LeapKind::Inserted,
            });
            let judgement = judge_at(TRIP.came_at, &[&[noon]], 0, &mut known);
            assert!(written(&judgement).is_some());
            assert_eq!(known.leap.is_some(), remembered, "{boundary}");
        }
    }

    #[test]
    fn a_claim_of_before_is_carried_over_the_leap_second_while_it_ends_before_it() {
        let at = Timestamp::from_unix_nanos;
        let midnight = 20_819 * 86_400 * BILLION;
        let leap = LeapSecond {
            boundary: at(midnight),
            kind: LeapKind::Inserted,
        };
        let exactly = RateBounds::symmetric(0);
        // A hundred seconds later by raw time: 99 of them if the leap second was one of these.
        let fits = |ends: i64, after_s: i64| {
            let before = Interval::new(at(midnight - BILLION), at(midnight + ends)).unwrap();
            let known = Remembered {
                claim: Some((0, before)),
                ..first()
            };
            let after = Interval::point(at(midnight + after_s * BILLION - BILLION / 2));
            fits_before(&Claim::new(100 * BILLION, after, exactly), &leap, &known)
        };
        for (ends, leapt, had_leapt) in [(-1, true, false), (0, false, true), (1, false, true)] {
            assert_eq!(
                (fits(ends, 99), fits(ends, 100)),
                (leapt, had_leapt),
                "{ends}"
            );
        }
        let after = Claim::new(0, Interval::point(at(0)), exactly);
        assert!(fits_before(&after, &leap, &first()));
    }

    /// Servers of one's own in a world, a thread that asks them each second, and a look after that.
    struct Scene {
        world: World,
        servers: Vec<NtpServer>,
        mailbox: Mailbox,
        memory: SourceMemory,
        may_inherit: bool,
        rate: RateBounds,
        rate_serial: u64,
    }

    impl Scene {
        fn new(behaviours: &[Behaviour]) -> Self {
            let world = World::new(0);
            for (index, behaviour) in (0..).zip(behaviours) {
                world.set(Self::address(index), *behaviour);
            }
            let own = |index| NtpServer::at(Self::address(index)).own();
            Self {
                world,
                servers: (0..).zip(behaviours).map(|(index, _)| own(index)).collect(),
                mailbox: Mailbox::default(),
                memory: SourceMemory::default(),
                may_inherit: true,
                rate: RateBounds::symmetric(DRIFT),
                rate_serial: 0,
            }
        }

        fn address(index: u8) -> SocketAddr {
            SocketAddr::from(([192, 0, 2, 10 + index], 123))
        }

        /// What a look finds a second later, and how many requests were sent before it.
        fn second(&mut self) -> (Finding, usize) {
            self.world.advance(BILLION);
            let transport: Arc<dyn Transport> = Arc::new(self.world.clone());
            let limits = Limits {
                margin_ns: 0,
                max_distance_ns: u64::MAX,
            };
            let asked = self.world.lock().asked.len();
            self.mailbox
                .refresh(&self.servers, limits, &transport, &self.world);
            let asked = self.world.lock().asked.len() - asked;
            let context = LookContext {
                may_inherit: self.may_inherit,
                rate: self.rate,
                rate_serial: self.rate_serial,
                ..LookContext::new(&self.world)
            };
            let rules = rules(self.servers.len(), 0);
            let look = look(
                &context,
                &mut self.memory,
                &self.mailbox,
                &rules,
                &self.servers,
            );
            (look.finding, asked)
        }

        /// How many requests are sent in so many seconds.
        fn asked_in(&mut self, seconds: usize) -> usize {
            (0..seconds).map(|_| self.second().1).sum()
        }

        fn until_written(&mut self) -> SyncClaim {
            let written = |finding| match finding {
                Finding::Write(sync) => Some(sync),
                _ => None,
            };
            (0..2_000).find_map(|_| written(self.second().0)).unwrap()
        }
    }

    #[test]
    fn where_nothing_connects_to_now_servers_are_asked_again_at_once() {
        let mut scene = Scene::new(&[Behaviour::HONEST; 2]);
        assert_eq!(scene.asked_in(10), 2 * 4);
        assert_eq!(scene.asked_in(40), 0);
        // As after a suspend: the clock drops what was remembered.
        scene.memory = SourceMemory::default();
        scene.may_inherit = false;
        let (finding, asked) = scene.second();
        assert!(matches!(finding, Finding::Refused(_)), "{finding:?}");
        assert_eq!(asked, 0);
        let (finding, asked) = scene.second();
        assert!(matches!(finding, Finding::Write(_)), "{finding:?}");
        assert_eq!(asked, 2);
        assert_eq!(scene.asked_in(10), 2 * 3);
        assert_eq!(scene.asked_in(40), 0);
    }

    #[test]
    fn servers_that_contradict_each_other_are_asked_again_at_once() {
        let mut scene = Scene::new(&[Behaviour::HONEST; 2]);
        scene.asked_in(20);
        let lie = 300 * MS;
        let liar = Behaviour {
            off_received: lie,
            off_sent: lie,
            ..Behaviour::HONEST
        };
        scene.world.set(Scene::address(1), liar);
        let disagree = |finding| {
            matches!(
                finding,
                Finding::Refused(Refusal::Ntp(
                    NtpRefusal::Disagree { .. } | NtpRefusal::TooFew { .. }
                ))
            )
        };
        let (_, asked) = (0..200)
            .map(|_| scene.second())
            .find(|(finding, _)| disagree(*finding))
            .unwrap();
        assert!(asked > 0);
        assert_eq!(scene.second().1, 2);
    }

    #[test]
    fn r4_a_look_carries_what_was_heard_before_the_rate_was_forgotten_at_the_guess() {
        let away = |way| Behaviour {
            there: way,
            back: way,
            ..Behaviour::HONEST
        };
        let mut scene = Scene::new(&[away(MS / 10), away(200 * MS)]);
        scene.rate = RateBounds::symmetric(1_000);
        scene.until_written();
        scene.asked_in(10);
        let silent = Behaviour {
            answer: Answer::Silence,
            ..Behaviour::HONEST
        };
        scene.world.set(Scene::address(0), silent);
        // The far one alone answers; what the near one said is carried on for minutes.
        let width = |sync: SyncClaim| sync.claim.interval().width();
        let learned = width(scene.until_written());
        assert!(learned < Duration::from_millis(10), "{learned:?}");
        scene.rate_serial += 1;
        scene.second();
        let forgotten = width(scene.until_written());
        assert!(forgotten > Duration::from_millis(100), "{forgotten:?}");
    }
}
