//! What something is made of: a CycloneDX 1.6 document of the packages that its files name.
//!
//! | module | what it holds |
//! |---|---|
//! | `subject`, `limits`, `error` | what is described, how much is read, why it is refused |
//! | `tree` | the files that tell of packages; a directory's |
//! | `component`, `purl`, `hash`, `licence` | a package, its name for everybody, its digests, its terms |
//! | `graph` | packages of all files, and which needs which |
//! | `value`, `yaml` | a file as values that know their place |
//! | `read` | one reader per kind of file |
//! | `cyclonedx` | the document |
//!
//! The command line, the build pool and whoever makes images call [`of_files`] and [`of_directory`].
//! The same files give the same bytes: nothing in it is of a clock, of chance or of the machine. What
//! is read is hostile; `tests/sbom/hostile.rs` holds that no reader panics. Only [`of_directory`] reads
//! from the disk.

mod component;
mod cyclonedx;
mod directory;
mod error;
mod graph;
mod hash;
pub mod licence;
mod limits;
mod purl;
mod read;
mod subject;
mod tree;
mod value;
mod yaml;

use std::path::Path;

use bytes::Bytes;

use graph::Graph;

pub use error::{Code, Error, Place};
pub use limits::Limits;
pub use subject::{Made, Subject};
pub use tree::reads;

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// The role of the document among a step's artifacts.
pub const ROLE: &str = "sbom";

/// A document, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The document: JSON with sorted keys, ended by a line feed.
    pub json: Bytes,
    /// The files that packages were found in, sorted by path.
    pub sources: Vec<String>,
    /// How many packages it names, without what is described itself.
    pub components: usize,
}

/// Describes `subject` by files, each a path below its directory, with `/`, and its bytes.
///
/// Paths that [`reads`] says no to are passed over, so that all files of an image may be given;
/// their bytes are better not read in the first place. Their order does not matter. An image's
/// files are those of its layers put together.
pub fn of_files<P, B>(
    subject: &Subject,
    files: impl IntoIterator<Item = (P, B)>,
    limits: Limits,
) -> Result<Sbom, Error>
where
    P: AsRef<str>,
    B: Into<Bytes>,
{
    let mut tree = tree::Tree::new(limits);
    for (path, bytes) in files {
        tree.add(path.as_ref(), bytes.into())?;
    }
    describe(subject, &tree, limits)
}

/// Describes `subject` by the files of a directory; links are not followed.
///
/// What packages bring along is passed over: `node_modules`, virtual environments, caches that say
/// that they are one (`CACHEDIR.TAG`), and what begins with a dot. It blocks while it reads.
pub fn of_directory(subject: &Subject, directory: &Path, limits: Limits) -> Result<Sbom, Error> {
    let tree = directory::read(directory, limits)?;
    describe(subject, &tree, limits)
}

fn describe(subject: &Subject, tree: &tree::Tree, limits: Limits) -> Result<Sbom, Error> {
    let mut graph = Graph::new(limits);
    let sources = read::all(tree, &mut graph)?;
    let parts = graph.finish();
    let json = cyclonedx::write(subject, &parts)?;
    Ok(Sbom { json, sources, components: parts.components.len() })
}
