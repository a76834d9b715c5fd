//! The whole system in the demo's directory: both servers, a coordinator and three workers, each a
//! process of its own, so that each can be killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maestro_evidence::key::home::Home;
use maestro_evidence::key::next::Next;
use maestro_schemas::api::plans::Catalogue;
use maestro_streams::topology::permission::Role;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::broken::Broken;
use super::place::Place;
use super::process::{Launch, Process};
use super::reviewer::Reviewer;
use crate::client::Client;
use crate::client::address::Address;
use crate::compile;
use crate::env_vars;
use crate::error::Error;
use crate::local::paths::{self, Paths};
use crate::local::stack::Stack;
use crate::service::api;
use crate::up::servers;

/// One step at a time each: two for the two lanes of the example, one to spare.
const WORKERS: u32 = 3;
/// For the coordinator to serve and the workers to announce what they serve.
const READY_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether they do.
const GLANCE: Duration = Duration::from_millis(50);
/// How long its keys are good.
const KEYS_VALID: Duration = Duration::from_secs(365 * 24 * 3_600);
/// For a killed server to be gone.
const KILL_MAX: Duration = Duration::from_secs(5);

/// The running system.
#[derive(Debug)]
pub struct Fleet {
    /// The API.
    pub client: Client,
    stack: Stack,
    coordinator: Option<Process>,
    workers: Vec<Process>,
    reviewer: Option<(Reviewer, Process)>,
}

impl Fleet {
    /// Starts everything and waits until a step can be carried out.
    pub async fn start(place: &Place) -> Result<Self, Error> {
        let files = Paths::of_project(&place.project())?;
        let stack = Stack::start(files, servers::options(Path::new("."))).await?;
        let address = free_address()?;
        let token = secret(&stack, servers::TOKEN);
        let project = servers::PROJECT
            .parse()
            .map_err(|source| Error::service("name the project", source))?;
        let client =
            Client::new(Address::parse(&format!("http://{address}"))?, project, Some(&token))?;
        make_keys(&stack).await?;
        let coordinator = Process::start(coordinator(&stack, place, &address)?)?;
        let (coordinator, workers) = (Some(coordinator), Vec::new());
        let mut fleet = Self { client, stack, coordinator, workers, reviewer: None };
        fleet.until_ready(|_| true).await?;
        // What workers announce before anybody hears it, they say again only after a while.
        api::until_owned(&fleet.stack.postgres.url()).await?;
        let workers =
            (1..=WORKERS).map(|number| Process::start(builder(&fleet.stack, place, number)?));
        fleet.workers = workers.collect::<Result<Vec<_>, Error>>()?;
        fleet.until_ready(|catalogue| catalogue.actions.contains_key("shell")).await?;
        Ok(fleet)
    }

    /// Starts a worker that calls models through the reviewer's proxy, and waits until it can be used.
    pub async fn add(&mut self, reviewer: Reviewer, place: &Place) -> Result<(), Error> {
        let launch = caller(&self.stack, place, &reviewer)?;
        self.reviewer = Some((reviewer, Process::start(launch)?));
        self.until_ready(|catalogue| catalogue.actions.contains_key("litellm.generate")).await
    }

    /// Who reviews, where somebody does.
    pub fn reviewer(&self) -> Option<&Reviewer> {
        self.reviewer.as_ref().map(|(reviewer, _)| reviewer)
    }

    /// What can be run.
    pub async fn catalogue(&self) -> Result<Catalogue, Error> {
        let mut catalogue = self.client.actions().await?;
        for (name, action) in compile::built_in().actions {
            catalogue.actions.entry(name).or_insert(action);
        }
        Ok(catalogue)
    }

    /// How many workers that build are left.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Kills a worker with all that it has started.
    pub async fn kill_worker(&mut self, name: &str) -> Result<(), Error> {
        let at = self.workers.iter().position(|worker| worker.name() == name);
        let Some(at) = at else {
            return Err(Error::NotFound { what: format!("worker {name}"), hint: None });
        };
        self.workers.swap_remove(at).kill().await.map(drop)
    }

    /// Kills the coordinator and nats-server at once.
    pub async fn kill_heart(&mut self) -> Result<Launch, Error> {
        let coordinator = self.coordinator.take();
        let coordinator = coordinator
            .ok_or_else(|| Error::NotFound { what: "the coordinator".into(), hint: None })?;
        let nats = self.stack.nats.child();
        nats.signal(Signal::SIGKILL);
        let launch = coordinator.kill().await?;
        let gone = timeout(KILL_MAX, nats.ended()).await;
        gone.map_err(|_| Broken::Slow { what: "the end of nats-server", limit: KILL_MAX })?;
        Ok(launch)
    }

    /// Starts both again, as whoever looks after services does.
    pub async fn revive_heart(&mut self, launch: Launch) -> Result<(), Error> {
        self.stack.nats.restart().await?;
        self.coordinator = Some(Process::start(launch)?);
        Ok(())
    }

    /// Fails where a part of it has ended by itself.
    pub fn check(&mut self) -> Result<(), Error> {
        let caller = self.reviewer.iter_mut().map(|(_, caller)| caller);
        self.coordinator
            .iter_mut()
            .chain(&mut self.workers)
            .chain(caller)
            .try_for_each(Process::check)
    }

    /// Ends everything in good order: workers, the model gateway, coordinator, servers.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { stack, coordinator, workers, reviewer, .. } = self;
        let (reviewer, caller) = reviewer.unzip();
        let workers = workers.into_iter().chain(caller).map(Process::stop);
        let workers = futures::future::join_all(workers).await;
        let gateway = match reviewer {
            Some(reviewer) => reviewer.stop().await,
            None => Ok(()),
        };
        let coordinator = match coordinator {
            Some(coordinator) => coordinator.stop().await,
            None => Ok(()),
        };
        let stack = stack.stop().await;
        workers.into_iter().collect::<Result<(), Error>>()?;
        gateway?;
        coordinator?;
        Ok(stack?)
    }

    /// Waits until the API answers, and what it says of actions is enough.
    async fn until_ready(&mut self, enough: impl Fn(&Catalogue) -> bool) -> Result<(), Error> {
        let until = Instant::now() + READY_MAX;
        loop {
            self.check()?;
            if self.client.actions().await.is_ok_and(|catalogue| enough(&catalogue)) {
                return Ok(());
            }
            if Instant::now() >= until {
                let what = format!("does not serve, with its workers, within {READY_MAX:?}");
                let slow = self.coordinator.as_ref().map(|coordinator| coordinator.broken(what));
                return Err(slow.unwrap_or_else(|| {
                    Broken::Slow { what: "the start", limit: READY_MAX }.into()
                }));
            }
            sleep(GLANCE).await;
        }
    }
}

fn secret(stack: &Stack, name: &str) -> String {
    stack.secret(name).unwrap_or_default().to_owned()
}

fn password(stack: &Stack, role: &Role) -> String {
    stack.password(&role.user()).unwrap_or_default().to_owned()
}

/// Taken by nobody now. Whoever takes it before the coordinator does makes it end with that error.
fn free_address() -> Result<String, Error> {
    let failed = |source| Error::System { action: "find a free port", source };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.to_string())
}

/// The keys that the coordinator signs with.
async fn make_keys(stack: &Stack) -> Result<(), Error> {
    let home = Home::at(stack.paths().keys());
    if !home.is_made() {
        let passphrase = zeroize::Zeroizing::new(secret(stack, servers::KEYS));
        home.init(&passphrase, &Next::made(&passphrase)?, KEYS_VALID).await?;
    }
    Ok(())
}

fn coordinator(stack: &Stack, place: &Place, address: &str) -> Result<Launch, Error> {
    let name = "coordinator-1".to_owned();
    let mut variables = shared(stack, &name, password(stack, &Role::Coordinator));
    variables.extend([
        (env_vars::DATABASE_URL, stack.postgres.url()),
        (env_vars::LISTEN, address.to_owned()),
        (env_vars::API_NATS_PASSWORD, password(stack, &Role::Api)),
        (env_vars::ADMIN_TOKEN, secret(stack, servers::TOKEN)),
        (env_vars::KEYS, stack.paths().keys().to_string_lossy().into_owned()),
        (env_vars::KEY_PASSPHRASE, secret(stack, servers::KEYS)),
    ]);
    Ok(Launch { log: log(place, &name)?, name, words: vec!["coordinator".into()], variables })
}

fn builder(stack: &Stack, place: &Place, number: u32) -> Result<Launch, Error> {
    worker(stack, place, format!("worker-{number}"), (maestro_build::POOL, "1"))
}

/// Not one of those that the story kills: it has a name of its own.
fn caller(stack: &Stack, place: &Place, reviewer: &Reviewer) -> Result<Launch, Error> {
    let pool = (maestro_llm::POOL, "2");
    let mut launch = worker(stack, place, "reviewer".to_owned(), pool)?;
    let key = reviewer.endpoint.key.clone().unwrap_or_default();
    launch.variables.extend([
        (env_vars::LITELLM_URL, reviewer.endpoint.url.clone()),
        (env_vars::LITELLM_KEY, key),
    ]);
    Ok(launch)
}

fn worker(
    stack: &Stack,
    place: &Place,
    name: String,
    (pool, slots): (&str, &str),
) -> Result<Launch, Error> {
    let role =
        Role::Worker(pool.parse().map_err(|source| Error::service("serve the pool", source))?);
    let scratch = stack.paths().root().join("work").to_string_lossy().into_owned();
    let words =
        ["worker", "--pool", pool, "--slots", slots, "--drain", "5s", "--scratch", &scratch];
    let variables = shared(stack, &name, password(stack, &role));
    let words = words.map(str::to_owned).to_vec();
    Ok(Launch { log: log(place, &name)?, name, words, variables })
}

fn shared(stack: &Stack, name: &str, password: String) -> Vec<(&'static str, String)> {
    vec![
        (env_vars::NATS_URL, stack.nats.url()),
        (env_vars::NATS_PASSWORD, password),
        (env_vars::STORE, stack.paths().objects().to_string_lossy().into_owned()),
        (env_vars::NAME, name.to_owned()),
        (env_vars::NO_COLOR, "1".to_owned()),
    ]
}

fn log(place: &Place, name: &str) -> Result<PathBuf, Error> {
    let dir = place.project().join(".maestro/demo");
    paths::make_dir(&dir)?;
    Ok(dir.join(format!("{name}.log")))
}
