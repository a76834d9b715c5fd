//! The working directory as a run sees it: which files there are, their digests, what git says.
//!
//! | module | what it does |
//! |---|---|
//! | [`files`] | lists the files, passing over what `.gitignore` and `.maestroignore` name |
//! | [`snapshot`] | takes their digests: the tree that workspaces begin with |
//! | [`git`] | asks git for commit, branch, tag, and whether anything was changed |
//! | [`upload`] | sends what the server does not have |
//!
//! What must stay true: nothing outside of the directory gets into a snapshot; equal files give
//! equal trees, whatever their times and owners are.

pub mod error;
pub mod files;
pub mod git;
pub mod snapshot;
pub mod upload;

pub use error::Error;
