//! What a fleet says about its clocks.

use core::fmt;

use crate::time::Contradiction;

/// What the clocks that were heard say about each other: see
/// [`Fleet::verdict`](crate::Fleet::verdict).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a verdict that is not looked at protects no data"]
pub struct Verdict<P> {
    /// Who stands where.
    pub standing: Standing<P>,
    /// How many clocks were heard recently enough, ours included.
    pub heard: usize,
    /// How many nodes the fleet has, heard or not.
    pub nodes: usize,
    /// How many of those heard are false at least, known or not.
    pub false_at_least: usize,
}

impl<P> Verdict<P> {
    /// Returns true if more than half of the clocks were heard.
    ///
    /// Ours included. If all of them agree and no more than a minority is false, one of them at
    /// least is right.
    ///
    /// ```
    /// # use epsilon_clock::{Clock, Fleet};
    /// # use epsilon_clock::fleet::Standing;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
    /// let fleet: Fleet<&str> = Fleet::new(clock, 3)?;
    /// let verdict = fleet.verdict()?;
    /// assert_eq!(verdict.standing, Standing::Unheard);
    /// assert!(!verdict.is_by_majority()); // one of three
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn is_by_majority(&self) -> bool {
        self.heard > self.nodes / 2
    }
}

/// A line for a log.
///
/// ```
/// # use epsilon_clock::{Clock, Fleet};
/// # use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = Clock::builder().assume_error(Duration::from_millis(1)).build()?;
/// let fleet: Fleet<&str> = Fleet::new(clock, 3)?;
/// assert_eq!(fleet.verdict()?.to_string(), "1 of 3 clocks heard: none but ours");
/// # Ok(())
/// # }
/// ```
impl<P: fmt::Display> fmt::Display for Verdict<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} clocks heard: ", self.heard, self.nodes)?;
        let peers = match &self.standing {
            Standing::Unheard => return f.write_str("none but ours"),
            Standing::AllAgree => return f.write_str("all agree"),
            Standing::Undecided => {
                let count = self.false_at_least;
                return write!(f, "at least {count} false, it cannot be told which");
            }
            Standing::PeersFalse(peers) => peers,
            Standing::WeAreFalse { by, peers } => {
                write!(f, "ours is false, {by}")?;
                if !peers.is_empty() {
                    f.write_str("; ")?;
                }
                peers
            }
        };
        for (place, FalsePeer { peer, by }) in peers.iter().enumerate() {
            let joint = if place > 0 { "; " } else { "" };
            write!(f, "{joint}{peer} is false, {by}")?;
        }
        Ok(())
    }
}

/// Who stands where, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing<P> {
    /// No peer was heard recently enough: nothing is known, least of all that all is well.
    Unheard,
    /// All clocks that were heard can be right at once. That does not make them right.
    AllAgree,
    /// These peers are false. Ours is not known to be.
    PeersFalse(Vec<FalsePeer<P>>),
    /// It is **our** clock that stands against a majority. Whatever it stamped since it was last
    /// right is wrong; stop relying on it.
    WeAreFalse {
        /// By how much our clock is wrong at least, and which way.
        by: Contradiction,
        /// Peers that are false as well, whichever way.
        peers: Vec<FalsePeer<P>>,
    },
    /// Clocks contradict each other, and it cannot be told which of them are false: too few were
    /// heard (with two clocks there never is a majority), or the false ones reach to where the right
    /// ones may be, or more are false than was allowed for.
    Undecided,
}

/// A peer whose clock was false when it was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FalsePeer<P> {
    /// Which one.
    pub peer: P,
    /// By how much its clock was wrong at least, and which way.
    pub by: Contradiction,
}
