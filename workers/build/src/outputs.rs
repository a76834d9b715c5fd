//! What a step says and leaves behind.

mod artifacts;
mod sbom;
mod values;

pub(crate) use artifacts::keep;
pub(crate) use sbom::{keep_sbom, put_sbom};
pub(crate) use values::read;
