//! How a step is kept apart from its worker's host: what its author says, and the pool that follows.
//!
//! What not every worker of the pool `build` can do makes a pool of its own, so that such a step
//! waits for a worker that can, and no other gets hold of it.

use maestro_schemas::name::PoolName;
use maestro_schemas::sandbox::{Endpoint, HOSTS_MAX, Isolation, Network, Reach, STRICT_POOL};

use super::action::BUILD_POOL;
use super::node::{Builder, SiteOf};
use crate::pipeline::{Code, Fault};

/// What a node of the plan says of it.
pub(super) struct Sandbox {
    pub(super) pool: PoolName,
    pub(super) isolation: Option<Isolation>,
    pub(super) network: Option<Network>,
}

impl Builder<'_> {
    /// The step's isolation and network, or else its pipeline's; nothing for a step of another pool.
    pub(super) fn sandbox(&self, site: &SiteOf<'_>, pool: PoolName) -> Result<Sandbox, Fault> {
        let step = &site.draft.site.step;
        if pool.as_str() != BUILD_POOL {
            let said =
                [("isolation", step.isolation.is_some()), ("network", step.network.is_some())];
            return match said.into_iter().find(|(_, is_said)| *is_said) {
                Some((key, _)) => {
                    let what = "only steps of the pool build run in a sandbox";
                    Err(Fault::new(Code::InvalidValue, site.at(key), what)
                        .found(format!("{key}, on a step of the pool {pool}"))
                        .hint("take it out"))
                }
                None => Ok(Sandbox { pool, isolation: None, network: None }),
            };
        }
        let isolation = step.isolation.or(self.default(site, |defaults| defaults.isolation));
        let network =
            step.network.clone().or(self.default(site, |defaults| defaults.network.clone()));
        let (isolation, network) = matched(site, isolation, network)?;
        let pool = match isolation {
            Some(Isolation::Strict) => STRICT_POOL.parse().unwrap_or(pool),
            _ => pool,
        };
        Ok(Sandbox { pool, isolation, network })
    }
}

/// Fills in what follows, and refuses what no worker could hold a step to.
fn matched(
    site: &SiteOf<'_>,
    isolation: Option<Isolation>,
    network: Option<Network>,
) -> Result<(Option<Isolation>, Option<Network>), Fault> {
    let refuse = |what: &str, found: String| {
        Fault::new(Code::InvalidValue, site.at("network"), what).found(found)
    };
    let said = |isolation: Option<Isolation>| {
        isolation.map_or("no isolation", Isolation::as_str).to_owned()
    };
    match (isolation, network) {
        (Some(Isolation::Strict), None) => Ok((isolation, Some(Network::NONE))),
        (None, Some(Network::Whole(Reach::None))) => {
            Ok((Some(Isolation::Sandboxed), Some(Network::NONE)))
        }
        (Some(Isolation::Plain), Some(Network::Whole(Reach::None))) => {
            Err(refuse("a step without a sandbox cannot be kept from the network", said(isolation))
                .hint("write isolation: sandboxed or isolation: strict"))
        }
        (Some(Isolation::Strict), Some(Network::Hosts(hosts))) => {
            if hosts.is_empty() || hosts.len() > HOSTS_MAX {
                return Err(refuse(
                    "the list of hosts has no usable length",
                    hosts.len().to_string(),
                )
                .expected(format!("1 to {HOSTS_MAX} hosts")));
            }
            match hosts.iter().find(|host| host.parse::<Endpoint>().is_err()) {
                Some(host) => Err(refuse("this names no host", host.clone())
                    .expected("host or host:port, as packages.example.org:443")),
                None => Ok((isolation, Some(Network::Hosts(hosts)))),
            }
        }
        (_, Some(Network::Hosts(_))) => {
            Err(refuse("a list of hosts can only be kept to in a strict sandbox", said(isolation))
                .hint("write isolation: strict"))
        }
        either => Ok(either),
    }
}
