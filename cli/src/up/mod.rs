//! The owner of a directory's local stack: both servers, a coordinator, the API and a worker of
//! every pool, in one process, until nobody needs them.
//!
//! `maestro up` is this in the foreground; `maestro run --local` starts it detached and attaches
//! (see [`crate::local::attach`]). What runs here is what runs in a cluster. What must stay true:
//! the socket is bound before what is slow begins, so that whoever attaches hears of its failure;
//! the roles end before the servers that they use.

pub mod roles;
pub mod servers;

use std::path::Path;
use std::time::Duration;

use maestro_schemas::step::RunState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::client::address::Address;
use crate::client::runs::RunFilter;
use crate::error::Error;
use crate::local::attach::{Answer, Attachments, Refusal, Server};
use crate::local::lock::Lock;
use crate::local::paths::Paths;
use crate::local::stack::Stack;
use crate::target::Endpoint;
use roles::Roles;

/// Another owner that is just ending is waited for this long.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// A stack that nobody uses ends after this.
const IDLE: Duration = Duration::from_secs(3);
/// Those who attached while the stack failed to start get this long to hear why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A local stack with all its roles.
#[derive(Debug)]
pub struct Owner {
    /// The servers.
    pub stack: Stack,
    /// Where the API is, and a token for it.
    pub endpoint: Endpoint,
    roles: Roles,
    attachments: Attachments,
}

/// Why the owner ends.
#[derive(Debug)]
pub enum Ending {
    /// Somebody asked for it.
    Asked,
    /// Nobody uses it any more.
    Abandoned,
    /// A part of it ended by itself.
    Broken(Error),
}

impl Owner {
    /// Takes the directory, serves its socket, and starts everything.
    ///
    /// # Errors
    /// [`crate::local::Error::Held`] where another process has the directory; else what could not
    /// be started. Nothing is left running then.
    pub async fn start(project: &Path) -> Result<Self, Error> {
        let paths = Paths::of_project(project)?;
        let lock = Lock::take(&paths, LOCK_PATIENCE).await?;
        let server = Server::bind(&paths, &lock)?;
        let (tell, told) = watch::channel(None);
        let attachments = server.serve(told);
        match start_all(paths, lock, project).await {
            Ok((stack, roles, endpoint)) => {
                tell.send_replace(Some(Answer::Ready(endpoint.clone())));
                Ok(Self { stack, endpoint, roles, attachments })
            }
            Err(error) => {
                tell.send_replace(Some(Answer::Error(refusal(&error))));
                tokio::time::sleep(LAST_WORDS).await;
                Err(error)
            }
        }
    }

    /// Waits until it has to end.
    pub async fn until_over(&mut self, stop: CancellationToken, while_used: bool) -> Ending {
        let Self { stack, roles, attachments, endpoint } = self;
        tokio::select! {
            () = stop.cancelled() => Ending::Asked,
            status = stack.nats.child().ended() => Ending::Broken(stack.nats.child().ended_early(status).into()),
            status = stack.postgres.child().ended() => Ending::Broken(stack.postgres.child().ended_early(status).into()),
            error = roles.ended() => Ending::Broken(error),
            () = abandoned(attachments, endpoint), if while_used => Ending::Abandoned,
        }
    }

    /// Ends the roles, then the servers.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { stack, roles, attachments, .. } = self;
        roles.stop().await;
        let stopped = stack.stop().await;
        drop(attachments);
        Ok(stopped?)
    }
}

async fn start_all(
    paths: Paths,
    lock: Lock,
    project: &Path,
) -> Result<(Stack, Roles, Endpoint), Error> {
    let stack = Stack::start_locked(paths, lock, servers::options(project)).await?;
    match Roles::start(&stack, project).await {
        Ok((roles, endpoint)) => {
            let mut state = stack.state();
            state.api = Some(endpoint.api.clone());
            state.write(stack.paths())?;
            Ok((stack, roles, endpoint))
        }
        Err(error) => {
            // The first failure is the one to tell; what stopping finds adds nothing.
            let _ = stack.stop().await;
            Err(error)
        }
    }
}

/// The error as it travels to those who attached: with its causes, in one text.
fn refusal(error: &Error) -> Refusal {
    let mut message = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        message.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    Refusal { message, hint: error.hint() }
}

/// Waits until nobody is attached and no run goes on, and closes the door.
async fn abandoned(attachments: &Attachments, endpoint: &Endpoint) {
    loop {
        attachments.abandoned(IDLE).await;
        if !is_busy(endpoint).await && attachments.close() {
            return;
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Whether a run of any project goes on. One that cannot be asked about counts as going on.
async fn is_busy(endpoint: &Endpoint) -> bool {
    let asked = async {
        let address = Address::parse(&endpoint.api)?;
        let project = servers::PROJECT
            .parse()
            .map_err(|error| Error::Usage { message: format!("{error}"), hint: None })?;
        let client = Client::new(address, project, Some(&endpoint.token))?;
        for state in [RunState::Running, RunState::Cancelling] {
            let filter = RunFilter {
                state: Some(state.as_str().to_owned()),
                limit: 1,
                ..RunFilter::default()
            };
            if !client.runs(&filter).await?.runs.is_empty() {
                return Ok::<bool, Error>(true);
            }
        }
        Ok(false)
    };
    asked.await.unwrap_or(true)
}
