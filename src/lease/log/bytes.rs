//! Lease entries and the book as bytes, for logs and snapshots.

use super::{Holder, LeaderTerm, LeaseBook, LeaseEntry, Release, UnknownEntry};
use crate::lease::Lease;
use crate::time::{DecodeError, Timestamp};

/// The first byte of each: what it is, in the first version.
const ENTRY: u8 = 0xe1;
const RELEASE: u8 = 0xe2;
const BOOK: u8 = 0xe3;

/// Takes big-endian numbers off a slice whose length was checked.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> u64 {
        match self.0.split_first_chunk::<8>() {
            Some((bytes, rest)) => {
                self.0 = rest;
                u64::from_be_bytes(*bytes)
            }
            None => 0,
        }
    }

    fn instant(&mut self) -> Result<Timestamp, UnknownEntry> {
        // Checked as a lease's expiry is: zeros are not an instant long past.
        Ok(Lease::from_be_bytes(self.number().to_be_bytes())?.expiry())
    }

    fn holder(&mut self) -> Holder {
        Holder {
            node: self.number(),
            incarnation: self.number(),
        }
    }

    fn term(&mut self) -> LeaderTerm {
        LeaderTerm {
            term: self.number(),
            leader: self.number(),
        }
    }
}

fn open<'a>(
    bytes: &'a [u8],
    what: &'static str,
    tag: u8,
    length: usize,
) -> Result<Reader<'a>, UnknownEntry> {
    let Some((&found, rest)) = bytes.split_first().filter(|_| bytes.len() == length) else {
        return Err(UnknownEntry::Decode(DecodeError::Length {
            what,
            expected: length,
            found: bytes.len(),
        }));
    };
    if found != tag {
        return Err(UnknownEntry::Version {
            found,
            expected: tag,
        });
    }
    Ok(Reader(rest))
}

fn join<const N: usize>(tag: u8, numbers: &[u64]) -> [u8; N] {
    let mut bytes = [0; N];
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    for (byte, value) in bytes.iter_mut().zip([tag].into_iter().chain(numbers)) {
        *byte = value;
    }
    bytes
}

fn encoded(instant: Timestamp) -> u64 {
    u64::from_be_bytes(instant.to_be_bytes())
}

impl LeaseEntry {
    /// Encodes the entry in 49 bytes: a tag, and six numbers, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(&self) -> [u8; 49] {
        join(
            ENTRY,
            &[
                self.holder.node,
                self.holder.incarnation,
                self.term.term,
                self.term.leader,
                encoded(self.held_until),
                encoded(self.expiry),
            ],
        )
    }
}

/// As [`LeaseEntry::to_be_bytes`] wrote them.
impl TryFrom<&[u8]> for LeaseEntry {
    type Error = UnknownEntry;

    fn try_from(bytes: &[u8]) -> Result<Self, UnknownEntry> {
        let mut reader = open(bytes, "a lease entry", ENTRY, 49)?;
        let (holder, term) = (reader.holder(), reader.term());
        let (held_until, expiry) = (reader.instant()?, reader.instant()?);
        Ok(Self {
            holder,
            term,
            // A successor waits for `expiry`: a holder that used more would read beside it.
            held_until: held_until.min(expiry),
            expiry,
        })
    }
}

impl Release {
    /// Encodes the release in 33 bytes: a tag, and four numbers, most significant byte first.
    #[must_use]
    pub fn to_be_bytes(&self) -> [u8; 33] {
        join(
            RELEASE,
            &[
                self.holder.node,
                self.holder.incarnation,
                self.term.term,
                self.term.leader,
            ],
        )
    }
}

/// As [`Release::to_be_bytes`] wrote them.
impl TryFrom<&[u8]> for Release {
    type Error = UnknownEntry;

    fn try_from(bytes: &[u8]) -> Result<Self, UnknownEntry> {
        let mut reader = open(bytes, "a release", RELEASE, 33)?;
        Ok(Self {
            holder: reader.holder(),
            term: reader.term(),
        })
    }
}

impl LeaseBook {
    /// Encodes the book in 41 bytes, for a snapshot.
    ///
    /// A tag, the leadership that opened last, the holder and the expiry; all zeros for "no lease".
    #[must_use]
    pub fn to_be_bytes(&self) -> [u8; 41] {
        let (node, incarnation, expiry) = match self.largest {
            Some((expiry, Some(holder))) => (holder.node, holder.incarnation, encoded(expiry)),
            Some((expiry, None)) => (0, 0, encoded(expiry)),
            None => (0, 0, 0),
        };
        let opened = self.opened;
        join(
            BOOK,
            &[opened.term, opened.leader, node, incarnation, expiry],
        )
    }
}

/// As [`LeaseBook::to_be_bytes`] wrote them. No bytes are no book: what lacks one is to be refused.
impl TryFrom<&[u8]> for LeaseBook {
    type Error = UnknownEntry;

    fn try_from(bytes: &[u8]) -> Result<Self, UnknownEntry> {
        let mut reader = open(bytes, "a book of leases", BOOK, 41)?;
        let (opened, holder) = (reader.term(), reader.holder());
        let known = holder.node != 0 || holder.incarnation != 0;
        let largest = match reader.0 {
            [0, 0, 0, 0, 0, 0, 0, 0] if !known => None,
            _ => Some((reader.instant()?, known.then_some(holder))),
        };
        Ok(Self { largest, opened })
    }
}
