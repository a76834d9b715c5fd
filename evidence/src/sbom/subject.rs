//! What a document describes.

use maestro_schemas::digest::Digest;

/// What is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name, where its own files do not tell one.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Whether it is an image, and else an application.
    pub is_container: bool,
    /// Whether `name` and `version` go before what its own files say.
    pub is_named: bool,
    /// Files that were made of it.
    pub made: Vec<Made>,
    /// When it was made, in seconds since 1970; usually `SOURCE_DATE_EPOCH`. Without it the document
    /// tells no time.
    pub made_at: Option<u64>,
}

/// A file that was made, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// Its name, as the role of an artifact.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

impl Subject {
    /// A directory's project, named `name` unless its own files tell a name.
    pub fn project(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
            is_container: false,
            is_named: false,
            made: Vec::new(),
            made_at: None,
        }
    }

    /// An image, named as a reference names it.
    pub fn image(name: impl Into<String>) -> Self {
        Self { is_container: true, is_named: true, ..Self::project(name) }
    }
}
