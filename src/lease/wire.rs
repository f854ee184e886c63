//! Rights on the wire and in files: what was never written is no token, no open fence and no expiry.

use core::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Lease;
use super::fence::{Fence, FencingToken};
use crate::time::Timestamp;

/// Its digits as text in people-readable formats, a `u64` in others.
impl Serialize for FencingToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // Not as a number: many readers of JSON round from 2^53 on, and two tokens would be one.
            serializer.collect_str(&self.number())
        } else {
            serializer.serialize_u64(self.number())
        }
    }
}

/// Digits or a `u64`, and never 0.
impl<'de> Deserialize<'de> for FencingToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = if deserializer.is_human_readable() {
            deserializer.deserialize_str(Digits)?
        } else {
            u64::deserialize(deserializer)?
        };
        FencingToken::new(number).ok_or_else(|| de::Error::custom("0 is no token"))
    }
}

/// A token's number as text: `String` would need serde's standard library.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token: its digits, as text")
    }

    fn visit_str<E: de::Error>(self, digits: &str) -> Result<u64, E> {
        let number: Option<u64> = digits.parse().ok();
        // One text for each token: no sign, no zeroes before it.
        number
            .filter(|number| number.to_string() == digits)
            .ok_or_else(|| E::custom("no token: its digits are expected, as text"))
    }
}

/// A fence as people read it.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Fence", deny_unknown_fields)]
struct Highest {
    // Without this a record that lacks the field would be an open fence, and let any zombie in.
    #[serde(deserialize_with = "Option::deserialize")]
    highest: Option<FencingToken>,
}

/// `highest`, a token or null, in people-readable formats; the nine bytes of `to_be_bytes` in others.
impl Serialize for Fence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let highest = self.highest();
            Highest { highest }.serialize(serializer)
        } else {
            self.to_be_bytes().serialize(serializer)
        }
    }
}

/// What was written, and nothing less: neither an empty object nor zeroes are an open fence.
impl<'de> Deserialize<'de> for Fence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let Highest { highest } = Highest::deserialize(deserializer)?;
            return match highest {
                Some(token) => Fence::OPEN.admit(token).map_err(de::Error::custom),
                None => Ok(Fence::OPEN),
            };
        }
        let bytes = <[u8; 9]>::deserialize(deserializer)?;
        Fence::try_from(&bytes[..]).map_err(de::Error::custom)
    }
}

/// Its expiry, as a timestamp; the margin is the holder's and does not travel.
impl Serialize for Lease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expiry().serialize(serializer)
    }
}

/// An expiry that [`Lease::from_be_bytes`] takes.
impl<'de> Deserialize<'de> for Lease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expiry = Timestamp::deserialize(deserializer)?;
        // Checked like bytes: an expiry that no grantor meant would be one long past.
        Lease::from_be_bytes(expiry.to_be_bytes()).map_err(de::Error::custom)
    }
}
