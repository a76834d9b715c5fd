//! Use cases, one per file: what the API and the subject door do, without HTTP.
//!
//! Called by [`crate::api`] and [`crate::intake`]. What must stay true: nothing here writes a run;
//! what is asked of a run travels to its shard's inbox as a command, and its answer is what the
//! shard's owner committed.

mod act;
pub mod audit;
pub mod bus;
pub mod cancel_run;
pub mod deliver_secrets;
pub mod follow_run;
pub mod learn;
pub mod list_attempts;
pub mod list_decisions;
pub mod list_pools;
pub mod list_runs;
pub mod list_steps;
pub mod list_tests;
pub mod objects;
pub mod promote;
pub mod prompts;
pub mod read_log;
pub mod rerun;
pub mod secrets;
pub mod send_command;
pub mod settle_calls;
pub mod show_cost;
pub mod show_decision;
pub mod show_evidence;
pub mod show_run;
pub mod store_plan;
pub mod submit_run;
pub mod why_cached;
pub mod why_waiting;

use std::sync::Arc;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::name::ProjectName;
use sqlx::PgPool;

use crate::notary::keys::Keys;
use crate::promotion::line::Line;
use crate::routing::Routing;
use crate::store;
use bus::Bus;

/// What the use cases work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The truth; only reads and what no shard owns.
    pub pool: PgPool,
    /// Commands out, answers and hints in.
    pub bus: Arc<Bus>,
    /// Bytes by digest.
    pub objects: ArtifactStore,
    /// Which model a prompt goes to.
    pub routing: Routing,
    /// What signs promotions; absent where nothing is signed.
    pub keys: Option<Keys>,
    /// Places for proofs of what is to be promoted.
    pub proofs: Line,
    /// What wraps the keys of secrets.
    pub keyring: secrets::Keyring,
}

/// Who asks, and of which tenant.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The tenant.
    pub project: ProjectName,
    /// A token's name, or `subject`.
    pub actor: String,
}

/// Why a use case has no good end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] store::Error),
    /// Object storage failed.
    #[error("object storage failed")]
    Objects(#[from] maestro_evidence::store::Error),
    /// There is no such thing in this project.
    #[error("there is no {what} {name} in this project")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name, as it was given.
        name: String,
    },
    /// A value of the request is not what it must be.
    #[error("{field}: {message}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// The key was used for another request.
    #[error("the idempotency key {key:?} was used for another request, which became {run}")]
    KeyTaken {
        /// The key.
        key: String,
        /// The run of the other request.
        run: maestro_schemas::id::RunId,
    },
    /// A text is no prompt.
    #[error("prompts/{name}.md: {message}")]
    UnfitPrompt {
        /// The prompt's name.
        name: String,
        /// The line, what was found and what was expected.
        message: String,
    },
    /// A secret is not kept, found or given out.
    #[error(transparent)]
    Secret(secrets::Fault),
    /// A plan cannot be run.
    #[error("{0}")]
    Unsound(String),
    /// The shard's owner refused the command.
    #[error("{message}")]
    Refused {
        /// Its stable code.
        code: String,
        /// Its reason.
        message: String,
    },
    /// Bytes have another digest than they were given under.
    #[error("the bytes have the digest {found}, not {named}")]
    Mismatch {
        /// What they have.
        found: maestro_schemas::digest::Digest,
        /// What was named.
        named: maestro_schemas::digest::Digest,
    },
    /// An entry is not in the audit log yet.
    #[error("{0} is not in the signed audit log yet")]
    Unlogged(maestro_schemas::audit::EntryId),
    /// The audit log does not hold together.
    #[error("the audit log does not hold together: {0}")]
    Broken(String),
    /// The policies do not let an artifact go somewhere.
    #[error("{artifact} may not go to {environment}: {}", told(.reasons))]
    Denied {
        /// The artifact.
        artifact: maestro_schemas::digest::Digest,
        /// Where to.
        environment: String,
        /// What each rule has against it.
        reasons: Vec<maestro_schemas::verdict::Reason>,
    },
    /// What is known of an artifact does not hold.
    #[error("{0}")]
    Unproven(String),
    /// There is no key to sign with.
    #[error("this server has no key, so it can sign no promotion")]
    NoSigner,
    /// Something that is needed does not answer now.
    #[error("{0}")]
    Unavailable(&'static str),
}

impl Error {
    fn not_found(what: &'static str, name: impl std::fmt::Display) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

fn told(reasons: &[maestro_schemas::verdict::Reason]) -> String {
    let told = reasons.iter().map(|reason| format!("{} ({})", reason.message, reason.rule));
    told.collect::<Vec<_>>().join("; ")
}

/// Whether a text may stand in rows and on terminals: no row holds NUL, and no line of a list more
/// than a line.
fn check_text(field: &'static str, text: &str) -> Result<(), Error> {
    match text.chars().find(|letter| letter.is_control()) {
        Some(letter) => {
            Err(Error::invalid(field, format!("found the control character {letter:?}")))
        }
        None => Ok(()),
    }
}
