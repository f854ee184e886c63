//! JSON, written.
//!
//! `serde_json` takes a third as long to compile as all the rest of the command; what is needed of it
//! here is this.

use std::collections::BTreeMap;
use std::fmt;

/// A value of JSON, whose `Display` is its text on one line.
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i128),
    Text(String),
    List(Vec<Json>),
    /// Sorted by its keys, as scripts that compare texts may have come to expect.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Builds an object of names and values.
    pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        let members = members.map(|(name, value)| (name.to_owned(), value));
        Self::Object(members.into())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => write_text(f, text),
            Self::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (place, (name, value)) in members.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { "," })?;
                    write_text(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Writes a string with the escapes that RFC 8259, section 7, demands.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\0'..' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Json {
            fn from(value: $integer) -> Self {
                Self::Integer(value.into())
            }
        }
    )*};
}
integers!(i32 i64 u64);

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn what_is_written_is_read_back_by_a_parser() {
        let text = "a \"quoted\" \\ path,\n\ttab, \u{1} and ±é😀";
        let all = Json::object([
            (
                "z",
                Json::List(vec![Json::Null, true.into(), Json::List(vec![])]),
            ),
            ("a\"b", i64::MIN.into()),
            ("big", u64::MAX.into()),
            ("text", text.into()),
            ("none", None::<&str>.into()),
            ("empty", Json::object([])),
        ]);
        let read: serde_json::Value = serde_json::from_str(&all.to_string()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "a\"b": i64::MIN, "big": u64::MAX, "empty": {}, "none": null,
                "text": text, "z": [null, true, []],
            })
        );
        // Sorted, on one line.
        assert_eq!(all.to_string(), read.to_string());
    }
}
