//! Values that are text where people read and bytes where programs do.
//!
//! A reader takes either, whatever its format says of itself: inside an internally tagged enum
//! serde hands on what it has buffered, and claims then that people read it although the bytes
//! came from MessagePack.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};

/// Reads a value from its text or from its `N` bytes.
pub(crate) fn deserialize<'de, D, T, const N: usize>(
    deserializer: D,
    from_bytes: fn([u8; N]) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let either = Either { from_bytes, value: PhantomData };
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(either)
    } else {
        deserializer.deserialize_bytes(either)
    }
}

struct Either<T, const N: usize> {
    from_bytes: fn([u8; N]) -> T,
    value: PhantomData<T>,
}

impl<'de, T: FromStr<Err: fmt::Display>, const N: usize> Visitor<'de> for Either<T, N> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text or {N} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok((self.from_bytes)(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut bytes = [0; N];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = items.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
        }
        Ok((self.from_bytes)(bytes))
    }
}
