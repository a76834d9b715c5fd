//! Which server is meant: the one that is named, or the local stack of this directory.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use maestro_schemas::api::plans::Catalogue;
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::client::Client;
use crate::client::address::Address;
use crate::compile;
use crate::env_vars;
use crate::error::Error;
use crate::local::attach::{self, Answer, Attachment};
use crate::local::paths::Paths;

/// For a local stack to come up, the first time with a database to be made.
const START_MAX: Duration = Duration::from_secs(90);
/// For a stack that is up already to say so.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What the owner of a local stack tells those who attach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The API, as `http://127.0.0.1:8080`.
    pub api: String,
    /// A token that may do everything there.
    pub token: String,
}

/// A server to ask. A local stack stays up while the value lives.
#[derive(Debug)]
pub struct Target {
    /// The client.
    pub client: Client,
    /// Flags that a next command needs to reach the same server, as ` --local`.
    pub flags: String,
    attachment: Option<Attachment>,
}

impl Target {
    /// What can be run there. A local stack serves what this binary does, also before its worker
    /// has announced it.
    pub async fn catalogue(&self) -> Result<Catalogue, Error> {
        let mut catalogue = self.client.actions().await?;
        if self.attachment.is_some() {
            for (name, action) in compile::built_in().actions {
                catalogue.actions.entry(name).or_insert(action);
            }
        }
        Ok(catalogue)
    }
}

impl Drop for Target {
    /// It is whole to its end: who took the client out of it would let the stack go.
    fn drop(&mut self) {
        self.attachment = None;
    }
}

/// The server that is meant; a local stack is started where `--local` asks for it.
pub async fn connect(global: &Global) -> Result<Target, Error> {
    match find(global).await? {
        Some(target) => Ok(target),
        None => Err(Error::usage(
            "no server is named and no local stack runs in this directory",
            "start one with `maestro up`, add --local, or name a server with --server URL or MAESTRO_SERVER",
        )),
    }
}

/// The same; nothing where no server is named and no local stack runs.
pub async fn find(global: &Global) -> Result<Option<Target>, Error> {
    if global.local {
        return start_local(global).await.map(Some);
    }
    if let Some(server) = &global.server {
        let token = std::env::var(env_vars::TOKEN).ok().filter(|token| !token.is_empty());
        let client =
            Client::new(Address::parse(server)?, global.project.clone(), token.as_deref())?;
        return Ok(Some(Target { client, flags: flags(global), attachment: None }));
    }
    attach_local(global).await
}

/// Attaches to the stack that runs here, if one does.
async fn attach_local(global: &Global) -> Result<Option<Target>, Error> {
    if !Path::new(".maestro").is_dir() {
        return Ok(None);
    }
    let paths = Paths::of_project(Path::new("."))?;
    match attach::connect(&paths, ANSWER_MAX).await? {
        Some((answer, attachment)) => local(global, answer, attachment).map(Some),
        None => Ok(None),
    }
}

async fn start_local(global: &Global) -> Result<Target, Error> {
    let program = std::env::current_exe()
        .map_err(|source| Error::System { action: "find this program", source })?;
    let paths = Paths::of_project(Path::new("."))?;
    let up = || {
        let mut command = Command::new(&program);
        command.args(["up", "--while-used"]);
        command
    };
    let (answer, attachment) = attach::connect_or_spawn(&paths, START_MAX, up).await?;
    local(global, answer, attachment)
}

fn local(
    global: &Global,
    answer: Answer<Endpoint>,
    attachment: Attachment,
) -> Result<Target, Error> {
    let endpoint = match answer {
        Answer::Ready(endpoint) => endpoint,
        Answer::Error(refusal) => {
            return Err(Error::Stack { message: refusal.message, hint: refusal.hint });
        }
    };
    let client =
        Client::new(Address::parse(&endpoint.api)?, global.project.clone(), Some(&endpoint.token))?;
    Ok(Target { client, flags: flags(global), attachment: Some(attachment) })
}

/// What a person has to type again to mean the same: not what the environment says already.
fn flags(global: &Global) -> String {
    let mut flags = String::new();
    if global.local {
        flags.push_str(" --local");
    } else if let Some(server) = &global.server
        && std::env::var(env_vars::SERVER).as_ref() != Ok(server)
    {
        flags.push_str(&format!(" --server {server}"));
    }
    let named = std::env::var(env_vars::PROJECT).unwrap_or_else(|_| "default".to_owned());
    if global.project.as_str() != named {
        flags.push_str(&format!(" --project {}", global.project));
    }
    flags
}
