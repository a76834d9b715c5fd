//! Where buildah runs: in a sandbox of its own where the worker has bubblewrap, for what a Dockerfile's
//! commands are kept in by buildah alone does not hold.
//!
//! They are root in there, so they can read what buildah can: the worker's credentials are with it only
//! while it fetches, and then it runs none of them.

use std::path::PathBuf;

use maestro_schemas::sandbox::{Isolation, Level, Network};
use nix::unistd::geteuid;
use rustix::thread::CapabilitySet;
use tokio_util::sync::CancellationToken;

use super::action::Action;
use crate::attempt::Running;
use crate::command::CommandLine;
use crate::environment::Variables;
use crate::error::Error;
use crate::process::Process;
use crate::sandbox::{self, Confinement, Host, Place, Seen, Wanted};

/// What buildah does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Fetches an image with the worker's credentials, and runs nothing of it.
    Fetching,
    /// Builds, and runs what a Dockerfile says.
    Building,
}

impl Action<'_> {
    /// Runs buildah, which finds `files` besides its storage, the workspace and what it is to write.
    pub(super) async fn buildah(
        &self,
        doing: Doing,
        line: &CommandLine,
        files: Vec<PathBuf>,
    ) -> Result<(), Error> {
        let confinement = self.room(doing, files)?;
        if doing == Doing::Building {
            let told = confinement.as_ref().map(|room| sandbox::line(room.applied()));
            let told = told.unwrap_or_else(|| "sandbox: none; this worker has none".to_owned());
            self.running.log.line(&told).await;
        }
        let mut variables: Variables = self.variables();
        variables.insert("BUILDAH_ISOLATION".into(), "chroot".into());
        self.running.log.line(&format!("$ {line}")).await;
        let process = Process {
            line,
            directory: &self.places.workspace,
            variables: &variables,
            confinement: confinement.as_ref(),
        };
        self.running.run(process).await
    }

    /// Runs a program of the worker's outside of any sandbox, whether or not the step was stopped.
    pub(super) async fn clear(&self, line: &CommandLine) -> Result<(), Error> {
        let (variables, stop) = (self.variables(), CancellationToken::new());
        let running = Running { stop: &stop, ..self.running };
        let process =
            Process { line, directory: self.scratch, variables: &variables, confinement: None };
        running.run(process).await
    }

    fn room(&self, doing: Doing, files: Vec<PathBuf>) -> Result<Option<Confinement>, Error> {
        let Some(host) = self.host else { return Ok(None) };
        let seen = Seen {
            read: files.into_iter().chain([self.places.workspace.clone()]).collect(),
            write: vec![
                self.places.home.clone(),
                self.places.temporary.clone(),
                self.storage(),
                self.out(),
            ],
            before: if geteuid().is_root() { Vec::new() } else { self.becoming_root() },
            has_keys: doing == Doing::Fetching,
        };
        let place = Place {
            settings: self.settings,
            places: self.places,
            own: self.scratch,
            caches: Vec::new(),
            cache_names: Vec::new(),
            name: if doing == Doing::Fetching { "fetch" } else { "build" },
            loopback: None,
            builder: Some(&seen),
        };
        Confinement::make(host, place, &self.wanted(host), None).map(Some)
    }

    /// Bubblewrap, or a process group with limits: nothing in between lets buildah work, nor does bubblewrap
    /// for a root that may not mount.
    fn wanted(&self, host: &Host) -> Wanted {
        let own = Wanted::of(self.task);
        let is_plain = own.isolation == Some(Isolation::Plain)
            || host.level() < Level::Bubblewrap
            || !may_mount();
        let isolation = is_plain.then_some(Isolation::Plain);
        Wanted { isolation, network: Network::FULL, serves: false, ..own }
    }

    /// What has a worker be root to itself, over files of all the users that it was given.
    pub(super) fn becoming_root(&self) -> Vec<String> {
        ["buildah", "unshare", "--"].map(Into::into).into()
    }

    /// Where buildah keeps what it works with.
    pub(super) fn storage(&self) -> PathBuf {
        self.scratch.join("buildah")
    }

    /// Where the image's layout is made.
    pub(super) fn out(&self) -> PathBuf {
        self.scratch.join("image")
    }
}

/// Whether the worker, or what it is root in, may make mounts: a root of some containers may not.
fn may_mount() -> bool {
    let own = rustix::thread::capabilities(None);
    !geteuid().is_root() || own.is_ok_and(|own| own.effective.contains(CapabilitySet::SYS_ADMIN))
}
