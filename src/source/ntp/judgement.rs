//! What a look makes of all that was heard: a claim of enough servers, or why there is none.

use core::time::Duration;

use super::exchange::Exchange;
use super::leap;
use super::mailbox::{Contents, Mailbox};
use super::memory::Remembered;
use super::refusal::NtpRefusal;
use super::server::{Heard, OLDEST, Situation, Testimony, weigh};
use super::settings::{NtpServer, Votes};
use super::status::{NtpServerState, NtpServerStatus};
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
    if !context.machine.tells_suspends() {
        return Look::new(refused(NtpRefusal::NoSuspendClock));
    }
    let contents = mailbox.open();
    // Read after the replies, so that whatever happened to the clocks before they came in shows.
    let now = context.machine.sandwich();
    let Some(contents) = contents else {
        return Look::new(locked(memory, now.raw));
    };
    let Some(disruption) = context.machine.disruption() else {
        return Look::new(Finding::Unsettled);
    };
    let rate = RateBounds::symmetric(context.max_drift_ppb);
    let mut known = Remembered::load(memory).unwrap_or_else(|| {
        // What was asked while the clock was being built counts, unless the clocks were disturbed.
        let barrier = if context.may_inherit {
            i64::MIN
        } else {
            now.raw
        };
        Remembered::first(barrier, now.raw)
    });
    known.opened = now.raw;
    let situation = Situation {
        raw: now.raw,
        boot_offset: now.boot_offset(),
        disruption,
        barrier: known.barrier,
        rate,
        leap: known.leap,
    };
    let judgement = judge(&contents, rules, &situation, &mut known);
    let nothing_connects = known.barrier == now.raw;
    mailbox.note_look(
        report(&contents, servers, &judgement.states, now.raw),
        rate,
        (judgement.in_doubt || nothing_connects).then_some(contents.serial),
    );
    *memory = known.store();
    Look {
        finding: judgement.finding,
        leap: judgement.leap,
    }
}

const fn refused(refusal: NtpRefusal) -> Finding {
    Finding::Refused(Refusal::Ntp(refusal))
}

/// The mailbox is locked: replies are being put in, unless it has been so for too long.
fn locked(memory: &SourceMemory, raw: i64) -> Finding {
    let opened = Remembered::load(memory).map_or(raw, |known| known.opened);
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
            finding: refused(NtpRefusal::RawStoodStill),
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

    /// Returns the stretch that all but `max_faulty` of the *representatives* contain.
    ///
    /// Not of the configured servers: whoever silences two honest ones of five would make three out of
    /// three agree on what two liars say. With fewer representatives the stretch is wider, never
    /// false.
    fn agree(
        &self,
        testimonies: &[Testimony],
        rules: &Rules,
        situation: &Situation,
        heard: &[Heard],
    ) -> Result<Agreed, NtpRefusal> {
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
        return NtpRefusal::NoAnswer;
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

/// Returns the end of a round in which more time passed at several servers than here: then raw time
/// stood still. One server that says so is at fault itself, unless it is the only one.
fn stood_still(testimonies: &[Testimony], rules: &Rules) -> Option<i64> {
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

/// Makes the agreement a claim, if enough of it is new.
fn conclude(
    agreed: &Agreed,
    panel: &Panel,
    rules: &Rules,
    situation: &Situation,
    known: &mut Remembered,
) -> (Finding, LeapNotice) {
    let interval = agreed.agreement.interval();
    let claim = Claim::new(agreed.raw, interval, situation.rate);
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

/// Returns what is known of each server.
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
