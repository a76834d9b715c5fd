//! Why the audit log does not grow.

use maestro_evidence::store as objects;
use maestro_evidence::{key, log};

use crate::store;

/// Why a turn broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres failed.
    #[error("the database failed")]
    Store(#[from] store::Error),
    /// Object storage failed.
    #[error("object storage failed")]
    Objects(#[from] objects::Error),
    /// What stands in object storage is no part of the log.
    #[error("MAE-7070 the audit log in object storage cannot be read")]
    Log(#[from] log::Error),
    /// An object is not there.
    #[error("MAE-7070 the audit log lacks {0} in object storage")]
    Missing(String),
    /// Staged entries are not there.
    #[error("MAE-7070 the audit log lacks its staged entry {0} in the database")]
    Unstaged(u64),
    /// Another tree was signed than the one that rows make.
    #[error(
        "MAE-7071 a checkpoint over {size} entries was signed for another tree than the database's"
    )]
    Forked {
        /// How many entries it has.
        size: u64,
    },
    /// More was signed than the database has.
    #[error(
        "MAE-7072 a checkpoint over {signed} entries was signed, and the database has {assigned}"
    )]
    RolledBack {
        /// How many entries are signed.
        signed: u64,
        /// How many have their place.
        assigned: u64,
    },
    /// There is no key, or its holder did not sign.
    #[error("the audit log is not signed")]
    Unsigned(#[from] key::Error),
    /// Another auditor has the lock by now.
    #[error("another coordinator audits by now")]
    Overtaken,
}
