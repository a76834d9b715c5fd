//! What a step says and leaves behind.

mod artifacts;
mod values;

pub(crate) use artifacts::keep;
pub(crate) use values::read;
