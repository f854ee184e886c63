//! Handles: a table of places, each used again and again, by values that are never dereferenced.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::ec_error;

/// How many handles of a kind can be open at a time.
const PLACES: usize = 1024;
const INDEX_BITS: u32 = PLACES.trailing_zeros();
/// The lowest bits are the kind's. As many as make of the next ones, which name the place, how far a
/// clock's place is from the first: a multiplication less for each look-up.
const KIND_BITS: u32 = 7;

/// Which table a handle belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A clock.
    Clock = 1,
    /// A hybrid clock.
    Hlc = 2,
    /// A machine of the testing library.
    Machine = 3,
}

/// Bits that no address in user space has, so that no pointer passes for a handle.
#[cfg(target_pointer_width = "64")]
const MAGIC: usize = 0xec10 << 48;
#[cfg(target_pointer_width = "64")]
const MAGIC_BITS: u32 = 16;
#[cfg(not(target_pointer_width = "64"))]
const MAGIC: usize = 0;
#[cfg(not(target_pointer_width = "64"))]
const MAGIC_BITS: u32 = 0;

/// How often a place is used before its handles repeat: 2³¹ times, or 2¹⁵ with 32-bit pointers.
const LAST_USE: usize = (1 << (usize::BITS - MAGIC_BITS - KIND_BITS - INDEX_BITS)) - 1;

const fn handle_of(kind: Kind, index: usize, used: usize) -> usize {
    MAGIC | (used << (KIND_BITS + INDEX_BITS)) | (index << KIND_BITS) | kind as usize
}

/// Stands in a place for no handle: it belongs to another place, so nothing that is looked up here,
/// null among it, can equal it. That makes of a look-up one comparison.
const fn closed(index: usize) -> usize {
    // The bits that name the place are turned round.
    !(index << KIND_BITS)
}

const fn index_of(handle: usize) -> usize {
    (handle >> KIND_BITS) & (PLACES - 1)
}

/// Lines of their own, as a wait writes `pins` while other threads read the place beside it.
#[repr(align(64))]
struct Place<T> {
    /// The handle that is good now, or what [`closed`] says.
    open: AtomicUsize,
    /// Calls inside that may last: while there are any, the place is not used again.
    pins: AtomicU32,
    value: UnsafeCell<Option<T>>,
}

/// Which places are free, the one that was freed first in front.
struct Free {
    queue: [u16; PLACES],
    first: usize,
    count: usize,
    used: [usize; PLACES],
}

/// All handles of one kind.
///
/// # When a value is dropped
///
/// Not by [`close`](Self::close), but when its place is used again: after all other free places were.
/// Calls that take nanoseconds ([`get`](Self::get)) are not counted, as that would cost more than they
/// do; so a call that is still inside when its handle is closed by another thread finds the value
/// where it was, until that many handles later. Calls that may last pin the place
/// ([`pin`](Self::pin)).
pub struct Table<T: 'static> {
    kind: Kind,
    places: [Place<T>; PLACES],
    free: Mutex<Free>,
}

// SAFETY: threads share `&T` (by `get` and `pin`) and move `T` (into and out of its place, under the
// lock of `free` and with no reader inside), so `T` must be both.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T: Send + Sync> Table<T> {
    /// Makes a table in which nothing is open.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "there are fewer places than a u16 counts"
    )]
    #[allow(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        let mut queue = [0; PLACES];
        let mut index = 0;
        while index < PLACES {
            queue[index] = index as u16;
            index += 1;
        }
        let mut places = [const {
            Place {
                open: AtomicUsize::new(0),
                pins: AtomicU32::new(0),
                value: UnsafeCell::new(None),
            }
        }; PLACES];
        let mut index = 0;
        while index < PLACES {
            places[index].open = AtomicUsize::new(closed(index));
            index += 1;
        }
        Self {
            kind,
            places,
            free: Mutex::new(Free {
                queue,
                first: 0,
                count: PLACES,
                used: [0; PLACES],
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // A panic under it would be a bug, and leave what is below whole all the same.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value into a free place and returns the handle.
    ///
    /// # Errors
    ///
    /// [`ec_error::EC_ERR_TOO_MANY`] if no place is free.
    pub fn open<H>(&'static self, value: T) -> Result<*mut H, ec_error> {
        let mut free = self.lock();
        for _ in 0..free.count {
            let Some(index) = free.pop() else { break };
            let (Some(place), Some(used)) = (self.places.get(index), free.used.get_mut(index))
            else {
                break;
            };
            // After `close` wrote `open`, in one order of all: a pin that is not seen here sees what
            // `close` wrote (or the handle below) and lets go.
            if place.pins.load(Ordering::SeqCst) != 0 || *used == LAST_USE {
                // A place that is used up stays out for good: its handles would repeat.
                if *used != LAST_USE {
                    free.push(index);
                }
                continue;
            }
            *used += 1;
            let handle = handle_of(self.kind, index, *used);
            // SAFETY: the place is free and unpinned, so no thread holds a reference into it; the lock
            // keeps other writers out. Of a `get` of an earlier use see there.
            let before = unsafe { (*place.value.get()).replace(value) };
            place.open.store(handle, Ordering::SeqCst);
            drop(free);
            drop(before);
            return Ok(ptr::without_provenance_mut(handle));
        }
        drop(free);
        drop(value);
        Err(ec_error::EC_ERR_TOO_MANY)
    }

    /// Closes a handle, and lets `last` see the value before others may take its place.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn close<H, R>(
        &'static self,
        handle: *const H,
        last: impl FnOnce(&T) -> R,
    ) -> Result<R, ec_error> {
        let index = {
            let _only_one_closes = self.lock();
            let place = self.place(handle.addr())?;
            let index = index_of(handle.addr());
            place.open.store(closed(index), Ordering::SeqCst);
            // Keeps it, until `last` is done.
            place.pins.fetch_add(1, Ordering::SeqCst);
            index
        };
        let place = self.places.get(index).ok_or(ec_error::EC_ERR_HANDLE)?;
        let _pin = Unpin { pins: &place.pins };
        // SAFETY: pinned, so no thread writes there; it was open, so a value is there.
        let value = unsafe { (*place.value.get()).as_ref() };
        let result = value.map(last).ok_or(ec_error::EC_ERR_INTERNAL);
        self.lock().push(index);
        result
    }

    #[inline]
    fn place(&self, handle: usize) -> Result<&Place<T>, ec_error> {
        // Masked to the number of places, so that no check of bounds is left.
        if let Some(place) = self.places.get(index_of(handle)) {
            if place.open.load(Ordering::Acquire) == handle {
                return Ok(place);
            }
        }
        Err(self.why_not(handle))
    }

    #[cold]
    fn why_not(&self, handle: usize) -> ec_error {
        if handle == 0 {
            return ec_error::EC_ERR_NULL;
        }
        // What this table may have given out before is closed; all else never was a handle of it.
        let kind = handle & ((1 << KIND_BITS) - 1);
        if handle & MAGIC == MAGIC && kind == self.kind as usize {
            ec_error::EC_ERR_CLOSED
        } else {
            ec_error::EC_ERR_HANDLE
        }
    }

    /// Returns the value, for a call that takes no longer than some nanoseconds.
    ///
    /// # Errors
    ///
    /// [`ec_error::EC_ERR_NULL`], [`ec_error::EC_ERR_CLOSED`] and [`ec_error::EC_ERR_HANDLE`].
    ///
    /// # Safety
    ///
    /// The reference must not be used any more when, after the handle was closed, all other places
    /// have been used: the header asks callers not to close what another thread is using, and by the
    /// order in which places are used a caller who does so still has as many calls of `open` to go as
    /// there are free places.
    #[inline]
    pub unsafe fn get<H>(&'static self, handle: *const H) -> Result<&'static T, ec_error> {
        let place = self.place(handle.addr())?;
        // SAFETY: written before `open` was, and not written again before the caller is done.
        let value = unsafe { &*place.value.get() };
        // SAFETY: a value was written there before `open` was, and none is ever taken out.
        Ok(unsafe { value.as_ref().unwrap_unchecked() })
    }

    /// Returns the value of a place, if the handle is the one that is open there.
    ///
    /// The address of a place that is named by the code is known before the handle is, so that a processor
    /// goes on while the handle is still compared. Working the address out from the handle, as
    /// [`get`](Self::get) does, took `ec_now` 3 ns.
    ///
    /// # Safety
    ///
    /// As [`get`](Self::get).
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a constant place is what makes it cheap"
    )]
    pub(crate) unsafe fn at<const INDEX: usize, H>(
        &'static self,
        handle: *const H,
    ) -> Option<&'static T> {
        let place = self.places.get(INDEX)?;
        if place.open.load(Ordering::Acquire) != handle.addr() {
            return None;
        }
        // SAFETY: written before `open` was, and not written again before the caller is done.
        let value = unsafe { &*place.value.get() };
        // SAFETY: a value was written there before `open` was, and none is ever taken out.
        Some(unsafe { value.as_ref().unwrap_unchecked() })
    }

    /// Returns the value and keeps it, for a call that may last.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn pin<H>(&'static self, handle: *const H) -> Result<Pin<T>, ec_error> {
        let handle = handle.addr();
        let place = self
            .places
            .get(index_of(handle))
            .ok_or(ec_error::EC_ERR_HANDLE)?;
        place.pins.fetch_add(1, Ordering::SeqCst);
        let unpin = Unpin { pins: &place.pins };
        if place.open.load(Ordering::SeqCst) != handle {
            return Err(self.why_not(handle));
        }
        // SAFETY: it is open, and `open` does not write to a place that is pinned.
        let value = unsafe { (*place.value.get()).as_ref() };
        let value = value.ok_or(ec_error::EC_ERR_INTERNAL)?;
        Ok(Pin {
            value,
            open: &place.open,
            handle,
            _unpin: unpin,
        })
    }
}

impl Free {
    fn pop(&mut self) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let index = self.queue.get(self.first).copied()?;
        self.first = (self.first + 1) % PLACES;
        self.count -= 1;
        Some(index.into())
    }

    fn push(&mut self, index: usize) {
        let end = (self.first + self.count) % PLACES;
        if let (Some(place), Ok(index)) = (self.queue.get_mut(end), u16::try_from(index)) {
            *place = index;
            self.count += 1;
        }
    }
}

struct Unpin {
    pins: &'static AtomicU32,
}

impl Drop for Unpin {
    fn drop(&mut self) {
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A value that stays where it is, though its handle may be closed meanwhile.
pub struct Pin<T: 'static> {
    value: &'static T,
    open: &'static AtomicUsize,
    handle: usize,
    _unpin: Unpin,
}

impl<T> Pin<T> {
    /// Returns the value, for as long as it is pinned.
    #[must_use]
    pub const fn value(&self) -> &T {
        self.value
    }

    /// Returns an error if the handle was closed since.
    ///
    /// # Errors
    ///
    /// [`ec_error::EC_ERR_CLOSED`].
    pub fn still_open(&self) -> Result<(), ec_error> {
        if self.open.load(Ordering::Acquire) == self.handle {
            Ok(())
        } else {
            Err(ec_error::EC_ERR_CLOSED)
        }
    }
}
