//! Names that people give: short, lower case, and safe as a token of a subject.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const LENGTH_MAX: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a name; expected 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
)]
pub struct InvalidName {
    /// The text as it was given, cut to 64 characters.
    pub found: String,
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= LENGTH_MAX
        && text.bytes().next().is_some_and(allowed)
        && text.bytes().all(|byte| allowed(byte) || byte == b'-' || byte == b'_')
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        #[schemars(inline)]
        pub struct $name(#[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$"))] Arc<str>);

        impl $name {
            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { found: text.chars().take(64).collect() })
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// The tenant: owns pipelines, runs, budgets, secrets.
    ProjectName;
    /// A kind of worker: `llm`, `build`, or a plugin's own.
    PoolName;
    /// A secret of a project.
    SecretName;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_subject_is_no_name() {
        for text in ["", "a.b", "A", "a b", "*", ">", "-a", &"a".repeat(64)] {
            assert!(text.parse::<PoolName>().is_err(), "{text:?} was taken for a name");
        }
        assert!("build-strict".parse::<PoolName>().is_ok());
    }
}
