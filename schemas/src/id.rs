//! Typed, prefixed ids: UUIDv7 written as a TypeID (`run_01h455vb4pex5vsknk084sn02q`).
//!
//! The text form is the TypeID specification's (version 0.3): a prefix, an underscore and the
//! 128 bits in 26 characters of Crockford's base 32, lower case. The 26 characters alone (see
//! [`RunId::token`]) are what stands in a subject.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TOKEN_LENGTH: usize = 26;

/// Why a text is no id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {prefix} id; expected {prefix}_ and 26 characters of base 32")]
pub struct InvalidId {
    /// The text as it was given, cut to 64 characters.
    pub found: String,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

fn encode(value: u128) -> String {
    (0..TOKEN_LENGTH)
        .rev()
        .map(|place| ((value >> (5 * place)) & 31) as usize)
        .filter_map(|index| ALPHABET.get(index))
        .map(|byte| char::from(*byte))
        .collect()
}

fn decode(token: &str) -> Option<u128> {
    if token.len() != TOKEN_LENGTH || !token.starts_with(|first| ('0'..='7').contains(&first)) {
        return None;
    }
    token.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        Some((value << 5) | digit as u128)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the text form, without its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Takes 128 bits that were made as a UUIDv7.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 128 bits.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// A new id of this moment. Never called by the engine, which is given its ids.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 26 characters without prefix: a subject token.
            pub fn token(self) -> String {
                encode(self.0.as_u128())
            }

            /// Reads the 26 characters of a subject token.
            pub fn from_token(token: &str) -> Result<Self, InvalidId> {
                decode(token).map(|bits| Self(Uuid::from_u128(bits))).ok_or_else(|| InvalidId {
                    found: token.chars().take(64).collect(),
                    prefix: $prefix,
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), encode(self.0.as_u128()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(|bits| Self(Uuid::from_u128(bits)))
                    .ok_or_else(|| InvalidId { found: text.chars().take(64).collect(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(self.0.as_bytes())
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::compact::deserialize(deserializer, |bytes| Self(Uuid::from_bytes(bytes)))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
                })
            }
        }
    )*};
}

ids! {
    /// One execution of a plan.
    RunId = "run";
    /// One worker's carrying-out of an attempt.
    ExecutionId = "exec";
    /// One worker process, from its start to its end.
    WorkerId = "wkr";
    /// What somebody asked of a run; its audit row bears it.
    CommandId = "cmd";
    /// One start of a coordinator process.
    CoordinatorId = "crd";
    /// An API token's public part.
    TokenId = "tok";
    /// One answer of the router.
    DecisionId = "dec";
    /// What somebody did that is no command about a run; its entry in the audit log bears it.
    ActId = "act";
    /// An artifact's leave to go to an environment.
    PromotionId = "prm";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_its_token() {
        let id = RunId::generate();
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        assert_eq!(RunId::from_token(&id.token()), Ok(id));
    }

    #[test]
    fn the_specifications_example_encodes_as_it_says() {
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").expect("a uuid");
        assert_eq!(RunId::from_uuid(uuid).to_string(), "run_01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn another_prefix_a_wrong_letter_and_an_overflow_are_refused() {
        for text in [
            "exec_01h455vb4pex5vsknk084sn02q",
            "run_01h455vb4pex5vsknk084sn02u",
            "run_81h455vb4pex5vsknk084sn02q",
            "run_",
            "",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text} was taken for a run id");
        }
    }
}
