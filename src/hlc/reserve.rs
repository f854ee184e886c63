//! The persisted upper bound: stamps are issued only below what was stored before.

use core::error::Error as StdError;
use core::fmt;
use std::sync::Arc;

use super::error::HlcError;
use super::timestamp::HlcTimestamp;
use crate::primitive::{AtomicU64, Mutex, MutexGuard, Ordering};

/// Stores a bound durably, or says why it could not.
pub(super) type Store =
    Box<dyn Fn(HlcTimestamp) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync>;

/// How far stamps may be issued, and what to do once that is used up.
///
/// `mark <= ceiling` at all times. Below the mark nothing is to be done; between the two one
/// caller should store the next bound, but none has to wait for it; above the ceiling all must.
///
/// Both are written with release by the thread that holds the lock, after the bound was stored, and read with
/// acquire: who finds a mark finds the bound stored that it rests on.
pub(super) struct Reserve {
    mark: AtomicU64,
    ceiling: AtomicU64,
    /// How many stamps a bound is ahead of what is used when it is stored.
    span: u64,
    store: Option<Store>,
    /// Held while storing.
    storing: Mutex<()>,
}

impl Reserve {
    /// Creates no reserve: everything may be issued.
    pub(super) fn none() -> Self {
        Self {
            mark: AtomicU64::new(u64::MAX),
            ceiling: AtomicU64::new(u64::MAX),
            span: 0,
            store: None,
            storing: Mutex::new(()),
        }
    }

    /// Creates a reserve of `span` stamps at a time, none of them stored yet.
    pub(super) fn new(floor: u64, span: u64, store: Store) -> Self {
        Self {
            mark: AtomicU64::new(floor),
            ceiling: AtomicU64::new(floor),
            span,
            store: Some(store),
            storing: Mutex::new(()),
        }
    }

    /// Returns true if bounds are stored, so that no crash makes a stamp issued twice.
    pub(super) const fn is_stored(&self) -> bool {
        self.store.is_some()
    }

    /// Returns true if `next` may be issued, with nothing to do first.
    #[inline]
    pub(super) fn covers(&self, next: u64) -> bool {
        next <= self.mark.load(Ordering::Acquire)
    }

    /// Returns true if `next` may be issued, even if it is time to store a bound.
    #[cfg(feature = "tracing")]
    pub(super) fn permits(&self, next: u64) -> bool {
        next <= self.ceiling.load(Ordering::Acquire)
    }

    /// Permits `next`, extending the stored bound if needed; `last` is the latest stamp by now.
    #[inline]
    pub(super) fn admit(&self, next: u64, last: impl Fn() -> u64) -> Result<(), HlcError> {
        if self.covers(next) {
            return Ok(());
        }
        self.make_room(next, last())
    }

    /// Extends the stored bound, if needed, so that it covers `next`.
    #[cold]
    fn make_room(&self, next: u64, last: u64) -> Result<(), HlcError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        if next <= self.ceiling.load(Ordering::Acquire) {
            // Another thread is at it already, or this caller does it.
            if let Ok(held) = self.storing.try_lock() {
                if !self.covers(next) {
                    self.store_ahead(store, next, last, &held);
                }
            }
            return Ok(());
        }
        // A panic of the callback leaves nothing half done.
        let held = match self.storing.lock() {
            Ok(held) => held,
            Err(poisoned) => poisoned.into_inner(),
        };
        if next <= self.ceiling.load(Ordering::Acquire) {
            return Ok(());
        }
        self.store_beyond(store, next, last, &held)
            .map_err(|cause| HlcError::Reserve {
                used_up: HlcTimestamp::from_bits(self.ceiling.load(Ordering::Relaxed)),
                cause,
            })
    }

    fn store_ahead(&self, store: &Store, next: u64, last: u64, held: &MutexGuard<'_, ()>) {
        if self.store_beyond(store, next, last, held).is_err() {
            let ceiling = self.ceiling.load(Ordering::Relaxed);
            let half = next.saturating_add(ceiling.saturating_sub(next).div_ceil(2));
            self.mark.store(half.min(ceiling), Ordering::Release);
        }
    }

    fn store_beyond(
        &self,
        store: &Store,
        next: u64,
        last: u64,
        _held: &MutexGuard<'_, ()>,
    ) -> Result<(), Arc<dyn StdError + Send + Sync>> {
        let bound = next.max(last).saturating_add(self.span);
        store(HlcTimestamp::from_bits(bound)).map_err(Arc::<dyn StdError + Send + Sync>::from)?;
        self.ceiling.store(bound, Ordering::Release);
        let mark = if bound == u64::MAX {
            bound
        } else {
            bound.saturating_sub(self.span / 2)
        };
        self.mark.store(mark, Ordering::Release);
        Ok(())
    }

    /// Stores the next bound if half of the reserve, or more, is used.
    pub(super) fn refill(&self, least: u64, last: u64) -> Result<(), HlcError> {
        let next = last.saturating_add(1).max(least);
        if self.covers(next) {
            return Ok(());
        }
        let Some(store) = &self.store else {
            return Ok(());
        };
        let held = match self.storing.lock() {
            Ok(held) => held,
            Err(poisoned) => poisoned.into_inner(),
        };
        if self.covers(next) {
            return Ok(());
        }
        self.store_beyond(store, next, last, &held)
            .map_err(|cause| HlcError::Reserve {
                used_up: HlcTimestamp::from_bits(self.ceiling.load(Ordering::Relaxed)),
                cause,
            })
    }
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ceiling = self.ceiling.load(Ordering::Relaxed);
        f.debug_struct("Reserve")
            .field("ceiling", &HlcTimestamp::from_bits(ceiling))
            .field("stored", &self.store.is_some())
            .finish_non_exhaustive()
    }
}
