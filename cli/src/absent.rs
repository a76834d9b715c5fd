//! Secrets that a plan names and its project does not have: told before a step that needs one fails.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::api::secrets::{SecretState, SecretVersion};
use maestro_schemas::plan::Plan;
use maestro_schemas::secret::SecretRef;

use crate::client::{Client, Error};

/// Versions that are asked for at once.
const PAGE: u32 = 500;
/// The most pages that are read; with more versions than that, nothing is said.
const PAGES_MAX: usize = 20;

/// A warning for each secret that is not there. Where the server does not tell, there is none: steps find
/// out by themselves.
pub async fn secrets(plan: &Plan, client: &Client) -> Vec<String> {
    let mut wanted: BTreeMap<&SecretRef, &str> = BTreeMap::new();
    for node in &plan.nodes {
        for used in node.secrets.values() {
            wanted.entry(&used.secret).or_insert(&node.id);
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    match there(client).await {
        Ok(Some(there)) => wanted
            .into_iter()
            .filter(|(secret, _)| !there.contains(&(secret.name.to_string(), secret.version)))
            .map(|(secret, step)| {
                format!(
                    "the project has no secret {secret}, and so {step} fails where it runs; `maestro secrets set {}` gives one",
                    secret.name
                )
            })
            .collect(),
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::debug!(%error, "whether secrets are there is not known");
            Vec::new()
        }
    }
}

/// What a step may name: each version that is not revoked, and the name alone where one is current.
async fn there(client: &Client) -> Result<Option<BTreeSet<(String, Option<u32>)>>, Error> {
    let (mut there, mut cursor) = (BTreeSet::new(), None);
    for _ in 0..PAGES_MAX {
        let page = client.secrets(PAGE, cursor.as_deref()).await?;
        let live = page.versions.into_iter().filter(|it| it.state != SecretState::Revoked);
        for SecretVersion { name, version, state, .. } in live {
            there.insert((name.to_string(), Some(version)));
            if state == SecretState::Current {
                there.insert((name.to_string(), None));
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(Some(there)),
        }
    }
    Ok(None)
}
