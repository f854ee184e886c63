//! Invariants H1 to H4, H6, H9, H10 and H11, told apart from the code under test: by what truly
//! happened before what, by true time, and by the algorithm of the paper with counters of any size.

use epsilon_clock::{HlcTimestamp, Interval, Timestamp};

use super::micros;

/// The stamp that the paper's own algorithm gives: a physical part, and a counter without an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ideal {
    pub(crate) l: u64,
    c: u64,
}

impl Ideal {
    fn event(self, seen: Option<Self>, pt: u64) -> Self {
        let last = self.max(seen.unwrap_or_default());
        let l = last.l.max(pt);
        let c = if l == last.l { last.c + 1 } else { 0 };
        Self { l, c }
    }

    fn of(stamp: HlcTimestamp) -> Self {
        Self {
            l: micros(stamp),
            c: stamp.logical().into(),
        }
    }
}

/// What goes along with a message, of which only the stamp is visible to the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) stamp: HlcTimestamp,
    /// The largest stamp of any event that truly happened before the sending, itself included.
    past: HlcTimestamp,
    ideal: Ideal,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    past: Option<HlcTimestamp>,
    ideal: Ideal,
}

/// Watches the events of all nodes.
#[derive(Debug)]
pub(crate) struct Checker {
    nodes: Vec<Known>,
    events: u64,
    /// The largest epsilon of any reading so far, in ns.
    epsilon: u64,
    /// The largest floor that any node was restored to.
    floor: Option<HlcTimestamp>,
    /// The largest commit stamp released so far.
    released: Option<HlcTimestamp>,
    /// Whether all intervals contain true time.
    honest: bool,
}

/// One event as the checker is told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) node: usize,
    pub(crate) stamp: HlcTimestamp,
    /// The physical time that the stamp is made of: for a commit, the clock's latest.
    pub(crate) pt: u64,
    pub(crate) received: Option<&'a Message>,
    pub(crate) true_time: Timestamp,
}

impl Checker {
    pub(crate) fn new(nodes: usize, honest: bool) -> Self {
        Self {
            nodes: vec![Known::default(); nodes],
            events: 0,
            epsilon: 0,
            floor: None,
            released: None,
            honest,
        }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// A node's clock was read, and this is its interval.
    pub(crate) fn read(&mut self, interval: &Interval, true_time: Timestamp) {
        let epsilon = interval.epsilon().as_nanos() as u64;
        self.epsilon = self.epsilon.max(epsilon);
        if self.honest {
            assert!(
                interval.contains(true_time),
                "the test itself: {interval} at {true_time}"
            );
        }
    }

    /// How far counters can have carried so far, in µs: as if all events were one chain, and the
    /// first of them was at its counter's end.
    fn carries(&self) -> u64 {
        self.events / 4096 + 1
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) -> Message {
        self.events += 1;
        let Event {
            node,
            stamp,
            pt,
            received,
            true_time,
        } = *event;
        let known = self.nodes[node];
        // H1, by the largest of everything that truly happened before; and by each cause alone.
        let past = known.past.max(received.map(|message| message.past));
        assert!(
            past < Some(stamp),
            "H1: {stamp} after {past:?} in {event:?}"
        );
        if let Some(message) = received {
            assert!(message.stamp < stamp, "H1: {stamp} in {event:?}");
        }

        let l = micros(stamp);
        assert!(l >= pt, "H2: {l} < {pt} in {event:?}");

        let ideal = known.ideal.event(received.map(|message| message.ideal), pt);
        let carries = self.carries();
        assert!(
            ideal.l <= l && l - ideal.l <= carries,
            "H3: {l} instead of {} and {carries} at most, in {event:?}",
            ideal.l
        );

        if self.honest {
            let latest = true_time.unix_nanos() as u64 + 2 * self.epsilon;
            let floor = self.floor.map_or(0, micros);
            let most = latest.div_ceil(1_000).max(floor) + carries;
            assert!(l <= most, "H4: {l} > {most} in {event:?}");
        }

        self.nodes[node] = Known {
            past: Some(stamp),
            ideal,
        };
        Message {
            stamp,
            past: stamp,
            ideal,
        }
    }

    /// H6: a call that failed left the clock as it was.
    pub(crate) fn failed(before: HlcTimestamp, after: HlcTimestamp, what: &str) {
        assert_eq!(before, after, "H6: {what} failed, and changed the clock");
    }

    /// A node crashed and came back with this floor; H9 is then H1 across the crash, as what the node
    /// had issued still counts.
    pub(crate) fn restarted(&mut self, node: usize, floor: HlcTimestamp) {
        assert!(
            self.nodes[node].past <= Some(floor),
            "H9: {floor} was stored, and {:?} issued",
            self.nodes[node].past
        );
        self.floor = self.floor.max(Some(floor));
        let known = &mut self.nodes[node];
        known.ideal = known.ideal.max(Ideal::of(floor));
    }

    /// H10 of a stamp that was issued together with an interval.
    pub(crate) fn stamped(&self, stamp: HlcTimestamp, interval: &Interval, true_time: Timestamp) {
        assert!(
            stamp.physical() <= interval.latest(),
            "H10: {stamp} beyond {interval}"
        );
        if self.honest {
            assert!(
                interval.contains(true_time),
                "H10: {interval} misses {true_time}"
            );
        }
    }

    /// H11 of a commit that begins: at or above latest, and above all that was released before.
    pub(crate) fn began(&self, stamp: HlcTimestamp, latest: Timestamp) {
        assert!(
            stamp.physical() >= latest,
            "H11: {stamp} is before {latest}"
        );
        if self.honest {
            assert!(
                self.released < Some(stamp),
                "H11: {stamp} began after {:?} was released",
                self.released
            );
        }
    }

    /// H11 of a commit that is released.
    pub(crate) fn released(&mut self, stamp: HlcTimestamp, true_time: Timestamp) {
        if self.honest {
            assert!(
                stamp.physical() < true_time,
                "H11: {stamp} was released at {true_time}"
            );
        }
        self.released = self.released.max(Some(stamp));
    }
}
