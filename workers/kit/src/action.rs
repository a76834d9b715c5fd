//! What a pool implements: its actions, and how one attempt of one is carried out.

use std::pin::Pin;
use std::sync::Arc;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::action::ActionInfo;
use maestro_schemas::id::ExecutionId;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::Offered;
use maestro_schemas::task::Task;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::Account;
use crate::ledger::Ledger;
use crate::log::LogSink;
use crate::redact::Redactor;
use crate::router::RouterClient;
use crate::scratch::Scratch;
use crate::secrets::Secrets;

/// One carrying-out of an attempt, with all that its handler may use.
pub struct Execution {
    /// What is to be done.
    pub task: Arc<Task>,
    /// This execution's own id.
    pub id: ExecutionId,
    /// The how-manieth delivery of the task this is, from 1; a hint. Above 1, a former execution
    /// may have left something behind, or may even go on elsewhere.
    pub delivered: u32,
    /// Fires when the run is cancelled, the time is up or the worker must give the attempt up; a
    /// handler then ends its processes and returns [`Outcome::Cancelled`] (the kit turns it into
    /// the right outcome where the time was up).
    pub stop: CancellationToken,
    /// The secrets that the step declares, by the variable that gets each.
    pub secrets: Secrets,
    /// Knows how to take them out of texts. The kit does so with the log and with what is reported; a
    /// handler does it where it cuts what a process said.
    pub redactor: Redactor,
    /// Where output goes; the kit streams it and keeps the whole as an artifact.
    pub log: LogSink,
    /// Where bytes are kept.
    pub store: ArtifactStore,
    /// Where calls of models are written down, with what they cost.
    pub ledger: Ledger,
    /// Says what may still be spent, and takes down what is about to be.
    pub account: Account,
    /// Says which model a call goes to.
    pub router: RouterClient,
    /// A directory of this execution's own, made when it is first asked for.
    pub scratch: Scratch,
    /// What is spawned here goes on beside the handler and after it; the kit waits for its end before it
    /// reports the outcome or gives the attempt back. It must have a limit of its own.
    pub beside: TaskTracker,
}

/// A future that a handler returns.
pub type Carried = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A pool's actions.
///
/// A handler decides nothing about a run: it returns an [`Outcome`], and retry, routing and budget
/// are the engine's. It may be dropped at any await point.
pub trait Handler: Send + Sync + 'static {
    /// What this pool serves, for the catalogue.
    fn actions(&self) -> Vec<ActionInfo>;

    /// From which delivery on a task runs alone in its process, lest it kill its neighbours with the
    /// worker. Later than the second only for pools whose executions wait more than they work: those
    /// that a dead worker leaves behind would else go one after the other.
    fn alone_from(&self) -> u32 {
        2
    }

    /// Whether it hands secrets on to what an action of it runs. A step that declares some fails where it does not.
    fn takes_secrets(&self, _action: &str) -> bool {
        false
    }

    /// What it keeps its steps in, where it starts programs for them.
    fn sandbox(&self) -> Option<Offered> {
        None
    }

    /// Carries one attempt out.
    fn carry_out(&self, execution: Execution) -> Carried;
}
