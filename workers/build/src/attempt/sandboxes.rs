//! The sandboxes of one execution: one of its commands', and one of each service's, which see the same
//! files and the same network.

use std::path::PathBuf;

use maestro_kit::action::Execution;
use maestro_schemas::sandbox::{Level, Network};

use super::Attempt;
use crate::caches::Caches;
use crate::environment::Places;
use crate::error::Error;
use crate::sandbox::{Confinement, Host, Loopback, Place, Question, Wanted};
use crate::settings::Settings;

/// What they are made from.
pub(crate) struct Sandboxes<'a> {
    settings: &'a Settings,
    host: Option<&'a Host>,
    pub(crate) execution: &'a Execution,
    pub(crate) places: &'a Places,
    caches: &'a Caches,
    own: PathBuf,
    wanted: Wanted,
    loopback: Option<Loopback>,
}

impl<'a> Sandboxes<'a> {
    pub(super) async fn open(
        attempt: &Attempt<'a>,
        places: &'a Places,
        caches: &'a Caches,
    ) -> Result<Self, Error> {
        let Attempt { settings, host, execution, .. } = attempt;
        let wanted = Wanted::of(&execution.task);
        let loopback = match host {
            Some(host) if wanted.serves && wanted.network != Network::FULL => {
                let level = wanted.level(host.level()).map_err(Error::Isolation)?;
                let is_cut = level == Level::Bubblewrap;
                if is_cut { Some(Loopback::make(host).await?) } else { None }
            }
            _ => None,
        };
        Ok(Self {
            settings,
            host: *host,
            execution,
            places,
            caches,
            own: execution.scratch.path().await.map_err(Error::Scratch)?,
            wanted,
            loopback,
        })
    }

    /// The sandbox that the task asks for, or none where the worker has none and none is asked for.
    pub(crate) fn make(&self, name: &str) -> Result<Option<Confinement>, Error> {
        let Some(host) = self.host else {
            return self.wanted.level(Level::Plain).map(|_| None).map_err(Error::Isolation);
        };
        let place = Place {
            settings: self.settings,
            places: self.places,
            own: &self.own,
            caches: self.caches.directories.clone(),
            cache_names: self.caches.names.clone(),
            name,
            loopback: self.loopback.as_ref(),
            builder: None,
        };
        Confinement::make(host, place, &self.wanted, Some(&self.execution.log)).map(Some)
    }

    /// Whether their network is the host's own, where others listen too.
    pub(crate) fn are_on_the_host(&self) -> bool {
        self.loopback.is_none()
    }

    /// What asks whether ports answer in their network: a program of the worker's, and what it asks.
    pub(crate) fn question(
        &self,
        ports: &[u16],
        path: Option<&str>,
    ) -> Result<(PathBuf, Question), Error> {
        let without =
            || Error::Isolation("this worker cannot look whether a service answers".into());
        let question = Question {
            parent: std::process::id(),
            network: self.loopback.as_ref().map(Loopback::holder),
            ports: ports.to_vec(),
            path: path.map(str::to_owned),
        };
        Ok((self.host.ok_or_else(without)?.helper().to_owned(), question))
    }
}
