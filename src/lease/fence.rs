//! Fencing: the resource itself turns away earlier holders of the lease.

use core::fmt;
use core::num::NonZeroU64;

use thiserror::Error;

use crate::hlc::{HlcError, HlcTimestamp, HybridClock};
use crate::time::DecodeError;

/// The number of a grant: the later the grant, the higher its token.
///
/// A holder is granted a token with its lease, shows it with each write, and the
/// [`Fence`] beside the data turns away all that are older than the newest it has seen. That needs
/// no clock, and it works however long a holder was stopped between its last check and its write.
///
/// Tokens must go up strictly from grant to grant, across every restart of the grantor. Two that are
/// equal let two holders write. Take them all from one of:
///
/// - **A lock service's own number**, which consensus has made strict. etcd: the `create_revision`
///   of the lock's key. ZooKeeper: the `czxid` of the lock's node. (Not the version of a node, which
///   begins anew with the node; and not the suffix of a sequential node, which is an `i32`.)
/// - **A [`HybridClock`]** with a [`reserve`](crate::hlc::HybridClockBuilder::reserve), by
///   [`fencing_token`](HybridClock::fencing_token): no stamp is issued twice, crash or not (H8, H9).
///   A grantor that takes over from another one [observes](HybridClock::observe) the last token
///   that was granted, before it grants.
///
/// Numbers from two such sources cannot be compared. A lock service that was restored from a backup
/// counts from an old number: its new tokens are then refused until it is past the fence again,
/// which is the safe way round (etcd has `--bump-revision` for it).
///
/// ```
/// use epsilon_clock::lease::FencingToken;
///
/// let (older, newer) = (FencingToken::try_from(33_i64)?, FencingToken::try_from(34_i64)?);
/// assert!(older < newer);
/// # Ok::<(), epsilon_clock::lease::TokenError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(NonZeroU64);

impl FencingToken {
    /// Creates the token of this number, or `None` for 0.
    ///
    /// A forgotten field holds 0.
    ///
    /// ```
    /// # use epsilon_clock::lease::FencingToken;
    /// assert_eq!(FencingToken::new(7).map(FencingToken::number), Some(7));
    /// assert_eq!(FencingToken::new(0), None);
    /// ```
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number, never 0.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }

    /// Encodes the number in eight bytes that sort as tokens do.
    ///
    /// Most significant byte first.
    ///
    /// ```
    /// # use epsilon_clock::lease::FencingToken;
    /// let token = FencingToken::new(258).ok_or("zero")?;
    /// assert_eq!(token.to_be_bytes(), [0, 0, 0, 0, 0, 0, 1, 2]);
    /// assert_eq!(FencingToken::try_from(&token.to_be_bytes()[..])?, token);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.number().to_be_bytes()
    }
}

/// A lock service's own number, such as etcd's `create_revision` or ZooKeeper's `czxid`: both are
/// signed, and never 0 or less.
///
/// ```
/// # use epsilon_clock::lease::FencingToken;
/// assert!(FencingToken::try_from(0x1_0000_0001_i64).is_ok());
/// assert!(FencingToken::try_from(-1_i64).is_err());
/// ```
impl TryFrom<i64> for FencingToken {
    type Error = TokenError;

    fn try_from(number: i64) -> Result<Self, TokenError> {
        u64::try_from(number)
            .ok()
            // Etcd and ZooKeeper count from 1; 0 and less come from fields that were forgotten, or
            // replies that were errors.
            .and_then(Self::new)
            .ok_or(TokenError::NotPositive { number })
    }
}

/// Exactly eight bytes, most significant first.
impl TryFrom<&[u8]> for FencingToken {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        let array = <[u8; 8]>::try_from(bytes).map_err(|_| DecodeError::Length {
            what: "a fencing token",
            expected: 8,
            found: bytes.len(),
        })?;
        Self::new(u64::from_be_bytes(array)).ok_or(DecodeError::Blank { what: "token" })
    }
}

/// `token 33`.
impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.0)
    }
}

/// The number in brackets.
impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FencingToken({})", self.0)
    }
}

impl HybridClock {
    /// Issues a token above all that this clock gave out.
    ///
    /// Before any crash too.
    ///
    /// It is a stamp like that of [`tick`](Self::tick), as a number.
    ///
    /// # Errors
    ///
    /// [`TokenError::NotPersisted`] for a hybrid clock without a
    /// [`reserve`](crate::hlc::HybridClockBuilder::reserve), which could give out the same token again
    /// after a restart; [`TokenError::Clock`] as [`tick`](Self::tick).
    ///
    /// ```
    /// # use epsilon_clock::{Clock, HybridClock, RemoteTimestamp};
    /// # use epsilon_clock::lease::TokenError;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # fn stored() -> RemoteTimestamp { RemoteTimestamp::from_bits(7) }
    /// # fn store(_: epsilon_clock::HlcTimestamp) -> std::io::Result<()> { Ok(()) }
    /// let grantor = HybridClock::builder(Clock::system()?)
    ///     .resume_from(stored().trust())
    ///     .reserve(Duration::from_secs(3), |bound| Ok(store(bound)?))
    ///     .build()?;
    /// // If another grantor gave out tokens before, take note of its last one first.
    /// grantor.observe(RemoteTimestamp::from_bits(4_711))?;
    /// let (first, second) = (grantor.fencing_token()?, grantor.fencing_token()?);
    /// assert!(4_711 < first.number() && first < second);
    ///
    /// let forgetful = HybridClock::new(Clock::system()?);
    /// assert!(matches!(forgetful.fencing_token(), Err(TokenError::NotPersisted)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fencing_token(&self) -> Result<FencingToken, TokenError> {
        // Without a stored bound the next run may issue this number again, and two holders with one
        // token both pass the fence.
        if !self.survives_crashes() {
            return Err(TokenError::NotPersisted);
        }
        let stamp: HlcTimestamp = self.tick()?;
        // Stamps are above the least there is.
        FencingToken::new(stamp.to_bits()).ok_or(TokenError::NotPositive { number: 0 })
    }
}

/// What a resource remembers of the tokens it has seen: the highest, and nothing else.
///
/// It is a plain value of nine bytes. It belongs **into the resource, and into the same transaction
/// as the data it protects**:
///
/// ```
/// use epsilon_clock::Fence;
/// use epsilon_clock::lease::{FencingToken, StaleToken};
///
/// /// One row: what is protected, and its fence. Stands for a transaction on your database.
/// struct Row { data: String, fence: [u8; 9] }
///
/// fn write(row: &mut Row, token: FencingToken, data: &str) -> Result<(), Box<dyn std::error::Error>> {
///     // begin transaction; read the row for update
///     let fence = Fence::try_from(&row.fence[..])?.admit(token)?;
///     *row = Row { data: data.to_owned(), fence: fence.to_be_bytes() };
///     // commit
///     Ok(())
/// }
///
/// let mut row = Row { data: String::new(), fence: Fence::OPEN.to_be_bytes() };
/// let (zombie, successor) = (FencingToken::try_from(33_i64)?, FencingToken::try_from(34_i64)?);
/// write(&mut row, zombie, "by the leader")?;
/// write(&mut row, successor, "by its successor")?;
/// // The old leader wakes up in the middle of a write.
/// let refused = write(&mut row, zombie, "by the old leader again").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "token 33 is stale: token 34 has been here; stop acting on that lease"
/// );
/// assert_eq!(row.data, "by its successor");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Bytes
///
/// ```text
/// byte    0      1     2     3     4     5     6     7     8
///      +------+-----------------------------------------------+
///      |  01  |  highest token, u64, most significant first   |   0: no token yet
///      +------+-----------------------------------------------+
/// ```
///
/// The first byte names the format, so that a page of zeros is no fence.
///
/// # Why anything else is wrong
///
/// - *Checked by the client*: between its check and the arrival of its write the client is stopped.
///   The check has to be where the write takes effect.
/// - *Checked, and then written*: the zombie's 33 passes, the successor's 34 passes and is written,
///   and then the zombie's write, which had passed, is. Check and write must be one atomic step.
/// - *Kept in memory*: the resource restarts, its fence is [`OPEN`](Self::OPEN) again, and the
///   zombie's 33 is the first token it sees.
/// - *Stored after the data*, or in another store: a crash between the two leaves the data of 34
///   behind the fence of 33.
/// - *One for each of several resources*: a zombie that finds one which its successor has not
///   reached yet still gets in there. Let the successor raise all of them (`admit` without a write)
///   **before it reads anything**: what it read before could still change behind its back.
///
/// What a fence cannot do: undo what the zombie did while its token was the highest, or guard a
/// resource that does not ask for tokens. It makes stale writes impossible, not reads.
///
/// ```
/// # use epsilon_clock::Fence;
/// # use epsilon_clock::lease::FencingToken;
/// # let token = FencingToken::try_from(34_i64)?;
/// // The successor's first act, on each resource: raise the fence; then read.
/// let raised = Fence::OPEN.admit(token)?;
/// assert_eq!(raised.highest(), Some(token));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a fence protects only what it is stored with"]
pub struct Fence {
    highest: Option<FencingToken>,
}

/// The first byte of a fence, so that a page of zeros is no open fence.
const FORMAT: u8 = 1;

impl Fence {
    /// A fence that has seen no token yet: for a resource that is being made, and for no other.
    pub const OPEN: Self = Self { highest: None };

    /// Admits a token unless an older one; returns the fence to store.
    ///
    /// The same token may come as often as it likes. Nothing happens to the fence at hand, so a
    /// transaction that is not committed has changed nothing.
    ///
    /// # Errors
    ///
    /// [`StaleToken`] with both tokens, for one that is older: the write must not happen.
    ///
    /// ```
    /// # use epsilon_clock::Fence;
    /// # use epsilon_clock::lease::{FencingToken, StaleToken};
    /// # let [older, newer] = [33_i64, 34].map(FencingToken::try_from);
    /// # let (older, newer) = (older?, newer?);
    /// let fence = Fence::OPEN.admit(newer)?;
    /// assert_eq!(fence.admit(newer)?, fence);
    /// let StaleToken { shown, highest, .. } = fence.admit(older).unwrap_err();
    /// assert_eq!((shown, highest), (older, newer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn admit(self, shown: FencingToken) -> Result<Self, StaleToken> {
        match self.highest {
            // Equal is let in: one holder writes many times under one token.
            Some(highest) if shown < highest => Err(StaleToken { shown, highest }),
            _ => Ok(Self {
                highest: Some(shown),
            }),
        }
    }

    /// Returns the highest token it has seen.
    #[must_use]
    pub const fn highest(self) -> Option<FencingToken> {
        self.highest
    }

    /// Encodes the fence in nine bytes, which sort as fences rise.
    ///
    /// A 1, and the highest token's number (0 for none), most significant byte first.
    ///
    /// ```
    /// # use epsilon_clock::Fence;
    /// # use epsilon_clock::lease::FencingToken;
    /// let fence = Fence::OPEN.admit(FencingToken::try_from(258_i64)?)?;
    /// assert_eq!(fence.to_be_bytes(), [1, 0, 0, 0, 0, 0, 0, 1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 9] {
        // No token has the number 0, so it stands for none.
        let number = match self.highest {
            Some(token) => token.number(),
            None => 0,
        };
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        [FORMAT, a, b, c, d, e, f, g, h]
    }
}

/// Exactly nine bytes, as [`Fence::to_be_bytes`] made them.
///
/// Bytes that were never written are not an open fence.
///
/// ```
/// # use epsilon_clock::Fence;
/// # use epsilon_clock::time::DecodeError;
/// assert_eq!(Fence::try_from(&Fence::OPEN.to_be_bytes()[..]), Ok(Fence::OPEN));
/// let blank = Fence::try_from(&[0; 9][..]);
/// assert!(matches!(blank, Err(DecodeError::Format { found: 0, .. })));
/// ```
impl TryFrom<&[u8]> for Fence {
    type Error = DecodeError;

    fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
        let array = <[u8; 9]>::try_from(bytes).map_err(|_| DecodeError::Length {
            what: "a fence",
            expected: 9,
            found: bytes.len(),
        })?;
        let [format, a, b, c, d, e, f, g, h] = array;
        // A page of zeros must not pass for an open fence: it would let any zombie in.
        if format != FORMAT {
            return Err(DecodeError::Format {
                what: "a fence",
                expected: FORMAT,
                found: format,
                advice: "admit no token before the record is checked",
            });
        }
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Ok(Self {
            highest: FencingToken::new(number),
        })
    }
}

/// `fence at token 34`, or `open fence`.
impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.highest {
            Some(token) => write!(f, "fence at {token}"),
            None => f.write_str("open fence"),
        }
    }
}

/// A token older than one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{shown} is stale: {highest} has been here; stop acting on that lease")]
#[non_exhaustive]
pub struct StaleToken {
    /// The token that was shown.
    pub shown: FencingToken,
    /// The highest that was seen before.
    pub highest: FencingToken,
}

/// Why there is no token.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A number that no lock service gives out.
    #[error("{number} is no token: revisions and zxids are above 0")]
    NotPositive {
        /// The number.
        number: i64,
    },
    /// The hybrid clock could give the same token out again after a restart.
    #[error(
        "a hybrid clock without a reserve may reissue its stamps after a restart: build it with \
         `reserve` and `resume_from`"
    )]
    NotPersisted,
    /// The hybrid clock gives no stamp.
    #[error(transparent)]
    Clock(#[from] HlcError),
}
