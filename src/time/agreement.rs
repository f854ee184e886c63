//! Marzullo's intersection: where true time is if most of those who were asked are right.

use thiserror::Error;

use super::contradiction::Contradiction;
use super::interval::Interval;
use super::timestamp::Timestamp;

/// Finds where true time is, and which intervals are surely false.
///
/// Provided that at most `max_faulty` of them are.
///
/// This is Marzullo's intersection, by which NTP tells true servers from false ones. The intervals
/// have to be about one and the same instant, one from each clock: readings taken one after the other
/// have to be [carried](crate::time::Claim::carry) there first, as a [`Fleet`](crate::Fleet) does.
///
/// The result reaches from the first to the last instant that at least `n − max_faulty` of the `n`
/// intervals contain; intervals are closed, so a shared end counts. If no more than `max_faulty` are
/// false, true time is one of these instants: the true intervals, of which there are at least
/// `n − max_faulty`, all contain it. An interval that has no instant in common with the result is
/// therefore false, and no true one is ever named. Not all false ones need be: those that reach into
/// the result pass, and of two that miss each other perhaps neither can be told from a true one.
///
/// With `max_faulty` less than half of `n` one false interval cannot stretch the result beyond the
/// true ones: each end of it lies in a true interval. With half or more that is lost, and the result
/// may be as wide as all of them together.
///
/// Takes time O(n log n) and memory for `2 n` instants.
///
/// # Errors
///
/// [`AgreementError::NoIntervals`] for none, [`AgreementError::TooManyFaulty`] if all of them may be
/// false, and [`AgreementError::NoAgreement`] if more than `max_faulty` must be.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::fleet::{Direction, agreement};
/// use std::time::Duration;
///
/// let ms = |a, b| -> Result<Interval, Box<dyn std::error::Error>> {
///     Ok(Interval::new(Timestamp::from_unix_millis(a)?, Timestamp::from_unix_millis(b)?)?)
/// };
/// // Three servers, one of which is an hour off.
/// let found = agreement(&[ms(10, 20)?, ms(3_600_000, 3_600_002)?, ms(14, 30)?], 1)?;
/// assert_eq!(found.interval(), ms(14, 20)?);
/// let [liar] = found.falsetickers() else { panic!("one is false") };
/// assert_eq!(liar.index, 1);
/// assert_eq!(liar.contradiction.direction, Direction::Ahead);
/// assert_eq!(liar.contradiction.by, Duration::from_millis(3_600_000 - 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn agreement(intervals: &[Interval], max_faulty: usize) -> Result<Agreement, AgreementError> {
    let count = intervals.len();
    if count == 0 {
        return Err(AgreementError::NoIntervals);
    }
    // An instant that at least so many intervals contain is in a true one, if no more than
    // `max_faulty` are false.
    let wanted = count
        .checked_sub(max_faulty)
        .filter(|wanted| *wanted > 0)
        .ok_or(AgreementError::TooManyFaulty {
            intervals: count,
            max_faulty,
        })?;
    let (interval, overlap) = sweep(intervals, wanted);
    let interval = interval.ok_or(AgreementError::NoAgreement {
        intervals: count,
        wanted,
        overlap,
    })?;
    let falsetickers = intervals
        .iter()
        .enumerate()
        // All true intervals hold true time, and so does the agreement: one that misses it cannot
        // be true.
        .filter_map(|(index, suspect)| {
            Contradiction::between(suspect, &interval).map(|contradiction| Falseticker {
                index,
                contradiction,
            })
        })
        .collect();
    Ok(Agreement {
        interval,
        falsetickers,
        overlap,
    })
}

/// Where an interval begins or ends. At one instant beginnings come first: a shared end counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Begins,
    Ends,
}

/// Returns the span that `wanted` intervals contain, and the most that share an instant.
fn sweep(intervals: &[Interval], wanted: usize) -> (Option<Interval>, usize) {
    let mut edges: Vec<(Timestamp, Edge)> = intervals
        .iter()
        .flat_map(|i| [(i.earliest(), Edge::Begins), (i.latest(), Edge::Ends)])
        .collect();
    // At one instant beginnings come before ends (the order of `Edge`): intervals that touch share
    // that instant.
    edges.sort_unstable();
    let (mut open, mut overlap) = (0_usize, 0);
    let (mut first, mut last) = (None, None);
    for (instant, edge) in edges {
        match edge {
            Edge::Begins => {
                open += 1;
                overlap = overlap.max(open);
                // The first and the last such instant, with whatever is between: true time may lie
                // in any of several regions that enough intervals share, and leaving one out could
                // exclude it.
                if open >= wanted && first.is_none() {
                    first = Some(instant);
                }
            }
            Edge::Ends => {
                if open >= wanted {
                    last = Some(instant);
                }
                open -= 1;
            }
        }
    }
    let ends = first.zip(last);
    let interval = ends.and_then(|(first, last)| Interval::new(first, last).ok());
    (interval, overlap)
}

/// What [`agreement`] found.
///
/// ```
/// use epsilon_clock::{Interval, Timestamp};
/// use epsilon_clock::fleet::agreement;
///
/// let at = |nanos| Interval::point(Timestamp::from_unix_nanos(nanos));
/// let found = agreement(&[at(5), at(5), at(7)], 1)?;
/// assert_eq!(found.interval(), at(5));
/// assert_eq!(found.overlap(), 2);
/// assert_eq!(found.falsetickers().len(), 1);
/// # Ok::<(), epsilon_clock::fleet::AgreementError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "falsetickers that are not looked at go on lying"]
pub struct Agreement {
    interval: Interval,
    falsetickers: Vec<Falseticker>,
    overlap: usize,
}

impl Agreement {
    /// Returns the first to the last instant that enough intervals contain.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Returns the intervals that have no instant in common with it.
    ///
    /// In the order in which they were given.
    #[must_use]
    pub fn falsetickers(&self) -> &[Falseticker] {
        &self.falsetickers
    }

    /// Returns the largest number of intervals that share an instant.
    ///
    /// As many as there are beyond that are false at least, even where it cannot be told which.
    #[must_use]
    pub const fn overlap(&self) -> usize {
        self.overlap
    }
}

/// An interval that is surely false, if no more are than said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Falseticker {
    /// Its place among the intervals that were given.
    pub index: usize,
    /// How far it misses the agreement.
    pub contradiction: Contradiction,
}

/// Why there is no [`agreement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// There was nothing to agree on.
    #[error("there are no intervals to agree; ask at least one clock")]
    NoIntervals,
    /// If all of them may be false, nothing follows from any of them.
    #[error(
        "{max_faulty} of {intervals} intervals may be false, so none needs to be true; \
         ask more clocks, or allow for fewer false ones"
    )]
    #[non_exhaustive]
    TooManyFaulty {
        /// How many intervals there were.
        intervals: usize,
        /// How many may have been false.
        max_faulty: usize,
    },
    /// Too few of them share an instant: more are false than was allowed for.
    #[error(
        "at most {overlap} of {intervals} intervals share an instant, and {wanted} are needed: more \
         clocks are false than was allowed for"
    )]
    #[non_exhaustive]
    NoAgreement {
        /// How many intervals there were.
        intervals: usize,
        /// How many have to share an instant.
        wanted: usize,
        /// The largest number that do.
        overlap: usize,
    },
}
