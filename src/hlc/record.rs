//! What a reserve stores: the bound, and where the local clock was when it was stored.

use core::fmt;

use super::timestamp::HlcTimestamp;
use crate::time::DecodeError;

/// The first byte of a record.
const FORMAT: u8 = 1;

/// How many bytes a record has.
const LENGTH: usize = 58;

/// How many bytes a bare bound has.
const BARE: usize = 8;

/// What a [reserve](super::HybridClockBuilder::reserve) stores, to
/// [resume from](super::HybridClockBuilder::resume_from_reserve) after a restart.
///
/// Two things: a stamp that none issued is above; and, on a machine that names its boot, what the local
/// clock was compared with: raw time, how long the machine had slept, and the estimate then. Raw time
/// goes on through a restart of the process, so within one boot the [`ForwardLimit`] is held to the
/// clock as it was before the restart. Without that, a process that refuses its clock's jump need only be
/// restarted, by its supervisor, to take the jump over and spread it.
///
/// It travels as 58 bytes ([`to_be_bytes`](Self::to_be_bytes)), a format's number first.
///
/// ```
/// use epsilon_clock::HlcTimestamp;
/// use epsilon_clock::hlc::ReserveRecord;
///
/// let bare = ReserveRecord::from(HlcTimestamp::MAX); // a bound and nothing else
/// assert_eq!(bare.bound(), HlcTimestamp::MAX);
/// assert_eq!(ReserveRecord::try_from(&bare.to_be_bytes()[..])?, bare);
/// # Ok::<(), epsilon_clock::time::DecodeError>(())
/// ```
///
/// [`ForwardLimit`]: super::ForwardLimit
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a bound that is not stored protects nothing"]
pub struct ReserveRecord {
    bound: HlcTimestamp,
    kept: Option<Kept>,
}

/// What the forward-jump guard compares the local clock with, for a process to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    pub(super) place: Place,
    /// Whether the estimate was vouched for.
    pub(super) vouched: bool,
    pub(super) figures: Figures,
}

/// Where raw time counts on: one boot of one kernel, seen from one time namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Never 0.
    pub(super) boot_id: u128,
    pub(super) time_namespace: u64,
}

/// The local clock at a raw instant, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Figures {
    pub(super) raw: i64,
    /// Boot less monotonic time.
    pub(super) suspended: i64,
    /// The estimate less raw time.
    pub(super) raw_offset: i64,
}

impl ReserveRecord {
    pub(super) const fn new(bound: HlcTimestamp, kept: Option<Kept>) -> Self {
        Self { bound, kept }
    }

    /// Returns the bound: no stamp above it was issued.
    #[must_use]
    pub const fn bound(&self) -> HlcTimestamp {
        self.bound
    }

    pub(super) const fn kept(&self) -> Option<Kept> {
        self.kept
    }

    /// Encodes the record in 58 bytes, which sort as the bounds do.
    ///
    /// A 1; the bound's eight bytes; the boot's number in 16, the time namespace's in 8, and raw time,
    /// time suspended and the estimate less raw time in 8 each, two's complement; then a 1 if the
    /// estimate was vouched for. Most significant bytes first. All behind the bound is 0 where the
    /// machine does not name its boot.
    ///
    /// ```
    /// # use epsilon_clock::HlcTimestamp;
    /// # use epsilon_clock::hlc::ReserveRecord;
    /// let bytes = ReserveRecord::from(HlcTimestamp::MAX).to_be_bytes();
    /// assert_eq!(bytes[..10], [1, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
    /// ```
    #[must_use]
    pub fn to_be_bytes(&self) -> [u8; 58] {
        let mut bytes = [0; LENGTH];
        let mut rest = bytes.iter_mut();
        let mut put = |field: &[u8]| {
            // In this order: the other one would take a byte too many from the record.
            for (from, to) in field.iter().zip(rest.by_ref()) {
                *to = *from;
            }
        };
        put(&[FORMAT]);
        put(&self.bound.to_be_bytes());
        if let Some(Kept {
            place,
            vouched,
            figures,
        }) = self.kept
        {
            put(&place.boot_id.to_be_bytes());
            put(&place.time_namespace.to_be_bytes());
            put(&figures.raw.to_be_bytes());
            put(&figures.suspended.to_be_bytes());
            put(&figures.raw_offset.to_be_bytes());
            put(&[u8::from(vouched)]);
        }
        bytes
    }
}

/// Only the bound: after a restart the guard starts from the clock as it is then.
impl From<HlcTimestamp> for ReserveRecord {
    fn from(bound: HlcTimestamp) -> Self {
        Self::new(bound, None)
    }
}

/// The 58 bytes of [`ReserveRecord::to_be_bytes`], or the eight of a stamp for a bare bound.
///
/// ```
/// # use epsilon_clock::HlcTimestamp;
/// # use epsilon_clock::hlc::ReserveRecord;
/// # use epsilon_clock::time::DecodeError;
/// let bare = ReserveRecord::try_from(&HlcTimestamp::MAX.to_be_bytes()[..])?;
/// assert_eq!(bare, ReserveRecord::from(HlcTimestamp::MAX));
/// // A page of zeros is no bound: resuming from it would issue old stamps again.
/// assert!(matches!(ReserveRecord::try_from(&[0; 8][..]), Err(DecodeError::Blank { .. })));
/// # Ok::<(), DecodeError>(())
/// ```
impl TryFrom<&[u8]> for ReserveRecord {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a reserve's record";
        let wrong = DecodeError::Length {
            what: WHAT,
            expected: LENGTH,
            found: bytes.len(),
        };
        if bytes.len() == BARE {
            let (bound, _) = word(bytes).ok_or(wrong)?;
            let bound = HlcTimestamp::from_bits(u64::from_be_bytes(bound));
            if bound == HlcTimestamp::MIN {
                return Err(DecodeError::Blank { what: "bound" });
            }
            return Ok(bound.into());
        }
        if bytes.len() != LENGTH {
            return Err(wrong);
        }
        let (format, rest) = bytes.split_first().ok_or(wrong)?;
        if *format != FORMAT {
            return Err(DecodeError::Format {
                what: WHAT,
                expected: FORMAT,
                found: *format,
                advice: "issue no stamp before a bound is known",
            });
        }
        let (bound, rest) = word(rest).ok_or(wrong)?;
        let (boot_id, rest) = word(rest).ok_or(wrong)?;
        let (time_namespace, rest) = word(rest).ok_or(wrong)?;
        let (raw, rest) = word(rest).ok_or(wrong)?;
        let (suspended, rest) = word(rest).ok_or(wrong)?;
        let (raw_offset, rest) = word(rest).ok_or(wrong)?;
        let boot_id = u128::from_be_bytes(boot_id);
        let kept = Kept {
            place: Place {
                boot_id,
                time_namespace: u64::from_be_bytes(time_namespace),
            },
            vouched: rest != [0],
            figures: Figures {
                raw: i64::from_be_bytes(raw),
                suspended: i64::from_be_bytes(suspended),
                raw_offset: i64::from_be_bytes(raw_offset),
            },
        };
        Ok(Self {
            bound: HlcTimestamp::from_bits(u64::from_be_bytes(bound)),
            // No boot has the number 0, so it stands for none.
            kept: (boot_id != 0).then_some(kept),
        })
    }
}

fn word<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (field, rest) = bytes.split_at_checked(N)?;
    Some((field.try_into().ok()?, rest))
}

impl fmt::Debug for ReserveRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveRecord")
            .field("bound", &self.bound)
            .field("kept", &self.kept)
            .finish()
    }
}
