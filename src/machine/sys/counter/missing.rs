//! No counter: of this processor none is known how to read.

use super::count_read::CountRead;
use crate::machine::NoCounter;

pub(super) const ORDERED: &str = "none";
pub(super) const FENCED: &str = "none";

pub(crate) const fn sound_counter() -> Result<CountRead, NoCounter> {
    Err(NoCounter::Unsupported)
}

#[inline]
pub(super) const fn ordered(_value: i64) -> i64 {
    0
}

#[inline]
pub(super) const fn fenced(_value: i64) -> i64 {
    0
}

#[inline]
pub(super) const fn count_early() -> i64 {
    0
}
