//! Values as words: what the slots of the latch and the memory of a source are made of.
//!
//! A slot is an array of atomic words, so that a reader needs no lock and a torn copy can be told.
//! Each type says beside its fields how it is laid out; this file knows none of them. A value fills
//! as many words each time, whatever it is, so that the next one's place is known: an `Option` or a
//! variant that is shorter than its place leaves the rest of it at zero.

use core::time::Duration;

/// Writes values into words, one after the other.
///
/// What does not fit any more is dropped; [`Words::WORDS`] says beforehand what will.
#[derive(Debug)]
pub struct WordWriter<'a> {
    /// The words that are left, zero until they are written.
    left: &'a mut [i64],
}

impl<'a> WordWriter<'a> {
    /// Starts at the first of these words, which have to be zero.
    pub(crate) const fn new(words: &'a mut [i64]) -> Self {
        Self { left: words }
    }

    /// Writes one word.
    pub fn word(&mut self, word: i64) {
        if let Some((place, left)) = core::mem::take(&mut self.left).split_first_mut() {
            *place = word;
            self.left = left;
        }
    }

    /// Writes a value into the next [`WORDS`](Words::WORDS) words.
    pub fn put<T: Words>(&mut self, value: &T) {
        let left = core::mem::take(&mut self.left);
        // A place of its own: a value that writes too little or too much moves no other.
        if let Some((own, left)) = left.split_at_mut_checked(T::WORDS) {
            value.write(&mut WordWriter { left: own });
            self.left = left;
        }
    }
}

/// Reads values from words, in the order in which they were written.
#[derive(Debug)]
pub struct WordReader<'a> {
    left: &'a [i64],
}

impl<'a> WordReader<'a> {
    /// Starts at the first of these words.
    pub(crate) const fn new(words: &'a [i64]) -> Self {
        Self { left: words }
    }

    /// Reads one word; `None` past the end.
    #[inline]
    pub fn word(&mut self) -> Option<i64> {
        let (word, left) = self.left.split_first()?;
        self.left = left;
        Some(*word)
    }

    /// Reads a value from the next [`WORDS`](Words::WORDS) words.
    ///
    /// `None` where the words are no such value; the next value is read from its own place all the
    /// same.
    #[inline]
    pub fn take<T: Words>(&mut self) -> Option<T> {
        let (own, left) = self.left.split_at_checked(T::WORDS)?;
        self.left = left;
        T::read(&mut WordReader { left: own })
    }

    /// Reads a value from the next [`WORDS`](Words::WORDS) words into its place; a large value then
    /// is never copied over the stack.
    pub(crate) fn take_into<T: Words>(&mut self, place: &mut T) -> Option<()> {
        let (own, left) = self.left.split_at_checked(T::WORDS)?;
        self.left = left;
        place.read_into(&mut WordReader { left: own })
    }
}

/// A value that can be written as words and read back, for a [`SourceMemory`].
///
/// Integers, `bool`, [`Duration`], [`Timestamp`](crate::Timestamp) and the crate's other values
/// have it; so have an `Option`, an array and a tuple of such. A struct writes its fields one after
/// the other.
///
/// [`SourceMemory`]: crate::source::SourceMemory
///
/// ```
/// use epsilon_clock::Timestamp;
/// use epsilon_clock::source::{SourceMemory, WordReader, WordWriter, Words};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct LastPacket {
///     sent: Timestamp,
///     stratum: Option<u32>,
/// }
///
/// impl Words for LastPacket {
///     const WORDS: usize = Timestamp::WORDS + Option::<u32>::WORDS;
///
///     fn write(&self, to: &mut WordWriter<'_>) {
///         to.put(&self.sent);
///         to.put(&self.stratum);
///     }
///
///     fn read(from: &mut WordReader<'_>) -> Option<Self> {
///         Some(Self { sent: from.take()?, stratum: from.take()? })
///     }
/// }
///
/// let packet = LastPacket { sent: Timestamp::UNIX_EPOCH, stratum: Some(2) };
/// let mut memory = SourceMemory::default();
/// memory.store(&packet);
/// assert_eq!(memory.load(), Some(packet));
/// ```
pub trait Words: Copy {
    /// How many words a value fills, at most and always.
    const WORDS: usize;

    /// Writes the value.
    fn write(&self, to: &mut WordWriter<'_>);

    /// Reads a value back; `None` where the words are none.
    fn read(from: &mut WordReader<'_>) -> Option<Self>;

    /// Reads a value back into its place, where the words are one; otherwise the place holds a mixture.
    #[doc(hidden)]
    fn read_into(&mut self, from: &mut WordReader<'_>) -> Option<()> {
        *self = Self::read(from)?;
        Some(())
    }
}

/// Implements [`Words`] for a struct: `words_struct!(Point { x, y })`, each field once, in order.
macro_rules! words_struct {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::words::Words for $name {
            const WORDS: usize = 0 $(+ $crate::words::width_of_field(|it: &Self| &it.$field))+;

            fn write(&self, to: &mut $crate::words::WordWriter<'_>) {
                let Self { $($field),+ } = self;
                $(to.put($field);)+
            }

            fn read(from: &mut $crate::words::WordReader<'_>) -> Option<Self> {
                Some(Self { $($field: from.take()?),+ })
            }

            fn read_into(&mut self, from: &mut $crate::words::WordReader<'_>) -> Option<()> {
                $(from.take_into(&mut self.$field)?;)+
                Some(())
            }
        }
    };
}

/// Implements [`Words`] for an enum, each variant with its number:
/// `words_enum!(Shape { Empty = 0, Dot(place) = 1, Circle { place, radius } = 2 })`.
///
/// A tuple variant names its fields here, since there they have no names.
macro_rules! words_enum {
    ($name:ident { $(
        $variant:ident $(($($place:ident),+))? $({ $($field:ident),+ })? = $number:literal
    ),+ $(,)? }) => {
        impl $crate::words::Words for $name {
            const WORDS: usize = 1 + $crate::words::widest(&[$(
                $crate::words::width_of_variant(
                    |($($($place,)+)? $($($field,)+)?)| Self::$variant $(($($place),+))? $({ $($field),+ })?
                )
            ),+]);

            fn write(&self, to: &mut $crate::words::WordWriter<'_>) {
                match self {
                    $(Self::$variant $(($($place),+))? $({ $($field),+ })? => {
                        to.word($number);
                        $($(to.put($place);)+)?
                        $($(to.put($field);)+)?
                    })+
                }
            }

            #[inline]
            fn read(from: &mut $crate::words::WordReader<'_>) -> Option<Self> {
                match from.word()? {
                    $($number => {
                        $($(let $place = from.take()?;)+)?
                        $($(let $field = from.take()?;)+)?
                        Some(Self::$variant $(($($place),+))? $({ $($field),+ })?)
                    })+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {words_enum, words_struct};

/// Counts the words of the field that `field` borrows: its type is inferred, not written again.
pub(crate) const fn width_of_field<S, T: Words>(_field: fn(&S) -> &T) -> usize {
    T::WORDS
}

/// Counts the words of the fields that `variant` is made of.
pub(crate) const fn width_of_variant<S, T: Words>(_variant: fn(T) -> S) -> usize {
    T::WORDS
}

#[allow(
    clippy::indexing_slicing,
    reason = "in bounds, and evaluated at compile time"
)]
pub(crate) const fn widest(widths: &[usize]) -> usize {
    let (mut widest, mut at) = (0, 0);
    while at < widths.len() {
        if widths[at] > widest {
            widest = widths[at];
        }
        at += 1;
    }
    widest
}

impl Words for i64 {
    const WORDS: usize = 1;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(*self);
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        from.word()
    }
}

#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "stored bit for bit (`cast_signed` came with Rust 1.87)"
)]
impl Words for u64 {
    const WORDS: usize = 1;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.word(*self as i64);
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        Some(from.word()? as Self)
    }
}

/// Integers that another one holds without loss.
macro_rules! words_as {
    ($($narrow:ty as $wide:ty),+) => {
        $(impl Words for $narrow {
            const WORDS: usize = <$wide>::WORDS;

            fn write(&self, to: &mut WordWriter<'_>) {
                to.put(&(*self as $wide));
            }

            fn read(from: &mut WordReader<'_>) -> Option<Self> {
                Self::try_from(from.take::<$wide>()?).ok()
            }
        })+
    };
}

words_as!(i32 as i64, u32 as i64, usize as u64);

impl Words for bool {
    const WORDS: usize = 1;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.word((*self).into());
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        match from.word()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Words for Duration {
    const WORDS: usize = u64::WORDS + u32::WORDS;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.as_secs());
        to.put(&self.subsec_nanos());
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        let (seconds, nanos) = (from.take()?, from.take()?);
        // From a billion on, `Duration::new` would carry into the seconds, and may panic.
        (nanos < 1_000_000_000).then(|| Self::new(seconds, nanos))
    }
}

impl<T: Words> Words for Option<T> {
    const WORDS: usize = bool::WORDS + T::WORDS;

    fn write(&self, to: &mut WordWriter<'_>) {
        to.put(&self.is_some());
        if let Some(value) = self {
            to.put(value);
        }
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        if from.take()? {
            Some(Some(from.take()?))
        } else {
            Some(None)
        }
    }
}

/// Arrays of one value and more.
impl<T: Words, const N: usize> Words for [T; N] {
    const WORDS: usize = {
        assert!(N > 0, "an array of nothing has no words");
        N * T::WORDS
    };

    fn write(&self, to: &mut WordWriter<'_>) {
        for value in self {
            to.put(value);
        }
    }

    fn read(from: &mut WordReader<'_>) -> Option<Self> {
        let mut values = [from.take()?; N];
        for value in values.iter_mut().skip(1) {
            *value = from.take()?;
        }
        Some(values)
    }

    fn read_into(&mut self, from: &mut WordReader<'_>) -> Option<()> {
        self.iter_mut().try_for_each(|value| from.take_into(value))
    }
}

/// Tuples of up to four values.
macro_rules! words_tuple {
    ($($name:ident)*) => {
        impl<$($name: Words),*> Words for ($($name,)*) {
            const WORDS: usize = 0 $(+ $name::WORDS)*;

            #[allow(non_snake_case, reason = "a type's name serves its value")]
            #[allow(unused_variables, reason = "the empty tuple writes nothing")]
            fn write(&self, to: &mut WordWriter<'_>) {
                let ($($name,)*) = self;
                $(to.put($name);)*
            }

            #[allow(unused_variables, reason = "the empty tuple reads nothing")]
            fn read(from: &mut WordReader<'_>) -> Option<Self> {
                Some(($(from.take::<$name>()?,)*))
            }
        }
    };
}

words_tuple!();
words_tuple!(A);
words_tuple!(A B);
words_tuple!(A B C);
words_tuple!(A B C D);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Pair {
        one: i64,
        other: Option<u32>,
    }

    words_struct!(Pair { one, other });

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Shape {
        Empty,
        Dot(Pair),
        Line { from: Pair, to: Pair, solid: bool },
    }

    words_enum!(Shape { Empty = 7, Dot(place) = 1, Line { from, to, solid } = 2 });

    fn round_trip<T: Words + PartialEq + core::fmt::Debug>(value: T) {
        let mut words = [0; 32];
        let mut to = WordWriter::new(&mut words);
        to.put(&value);
        to.word(99);
        assert_eq!(words[T::WORDS], 99, "{value:?} fills another place");
        let mut from = WordReader::new(&words);
        assert_eq!(from.take(), Some(value));
        assert_eq!(from.word(), Some(99));
        let mut place = value;
        let zeroes = [0; 32];
        let _ = WordReader::new(&zeroes).take_into(&mut place);
        let mut from = WordReader::new(&words);
        assert_eq!(from.take_into(&mut place), Some(()));
        assert_eq!((place, from.word()), (value, Some(99)));
    }

    #[test]
    fn values_come_back_and_fill_their_place_whatever_they_are() {
        let pair = Pair {
            one: i64::MIN,
            other: None,
        };
        let other = Pair {
            one: -1,
            other: Some(u32::MAX),
        };
        round_trip(pair);
        round_trip(Shape::Empty);
        round_trip(Shape::Dot(other));
        round_trip(Shape::Line {
            from: pair,
            to: other,
            solid: true,
        });
        round_trip(Some(Shape::Empty));
        round_trip(None::<Shape>);
        round_trip([Some(1_i32), None, Some(-1)]);
        round_trip((u64::MAX, false, usize::MAX, Duration::MAX));
        round_trip(());
        assert_eq!((Pair::WORDS, Shape::WORDS), (3, 8));
    }

    #[test]
    fn what_is_no_such_value_is_not_read() {
        let read = |words: &[i64]| WordReader::new(words).take::<Shape>();
        assert_eq!(read(&[7, 0, 0, 0, 0, 0, 0, 0]), Some(Shape::Empty));
        assert_eq!(read(&[3, 0, 0, 0, 0, 0, 0, 0]), None, "no such variant");
        assert_eq!(
            read(&[1, 0, 2, 0, 0, 0, 0, 0]),
            None,
            "neither there nor not"
        );
        assert_eq!(read(&[7, 0]), None, "cut short");
        let beyond = i64::from(u32::MAX) + 1;
        assert_eq!(WordReader::new(&[beyond]).take::<u32>(), None);
        assert_eq!(
            WordReader::new(&[1, 1_000_000_000]).take::<Duration>(),
            None
        );
        assert_eq!(WordReader::new(&[2]).take::<bool>(), None);
    }

    #[test]
    fn what_does_not_fit_moves_nothing_else() {
        let mut words = [0; 3];
        let mut to = WordWriter::new(&mut words);
        to.put(&[1_i64, 2]);
        to.put(&[3_i64, 4]);
        assert_eq!(words, [1, 2, 0]);
    }
}
