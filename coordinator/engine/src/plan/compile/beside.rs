//! What stands beside a step's command: reports, caches, services, shares of files.

use globset::GlobBuilder;
use maestro_schemas::beside::{Beside, CACHES_MAX, GLOBS_MAX, is_cache_name};
use maestro_schemas::name::PoolName;

use super::action::BUILD_POOL;
use super::node::{Builder, Faults, SiteOf};
use crate::pipeline::{Code, Fault};

/// The action of the pool build that runs no command of the author's.
const IMAGES: &str = "container.build";

impl Builder<'_> {
    /// What the step says of it; nothing that only its own worker could do for a step of another pool.
    pub(super) fn beside(&self, site: &SiteOf<'_>, pool: &PoolName, faults: &mut Faults) -> Beside {
        let step = &site.draft.site.step;
        let said = [
            ("reports", step.reports.is_some()),
            ("split", step.split.is_some()),
            ("caches", step.caches.is_some()),
            ("services", !step.services.is_empty()),
        ];
        let said = said.into_iter().find(|(_, is_said)| *is_said);
        if let Some((key, _)) = said.filter(|_| pool.as_str() != BUILD_POOL) {
            let what = "only steps of the pool build have commands beside which this could stand";
            faults.0.push(
                Fault::new(Code::InvalidValue, site.at(key), what)
                    .found(format!("{key}, on a step of the pool {pool}"))
                    .hint("take it out"),
            );
            return Beside::default();
        }
        let runs_nothing = step.run.as_deref() == Some(IMAGES) && !step.services.is_empty();
        if runs_nothing {
            let what = "no command of a container.build runs beside which this could stand";
            let fault = Fault::new(Code::InvalidValue, site.at("services"), what);
            faults.0.push(fault.hint("take it out, or start it in a step that tests the image"));
        }
        Beside {
            junit: faults.take(junit(site)),
            caches: faults.take(caches(site)),
            services: self.services(site, faults),
            splits: step.split.is_some(),
            share: None,
        }
    }
}

/// The names of caches.
fn caches(site: &SiteOf<'_>) -> Result<Option<Vec<String>>, Fault> {
    let Some(names) = &site.draft.site.step.caches else { return Ok(None) };
    let wrong = names.iter().find(|name| !is_cache_name(name)).cloned();
    let wrong = wrong.or((names.len() > CACHES_MAX).then(|| format!("{} names", names.len())));
    match wrong {
        None => Ok(Some(names.clone())),
        Some(found) => {
            Err(Fault::new(Code::InvalidValue, site.at("caches"), "this names no caches")
                .found(found)
                .expected(format!("at most {CACHES_MAX} names of small letters, digits and -")))
        }
    }
}

/// The globs of JUnit reports.
fn junit(site: &SiteOf<'_>) -> Result<Vec<String>, Fault> {
    let Some(reports) = &site.draft.site.step.reports else { return Ok(Vec::new()) };
    let globs = reports.junit.as_slice();
    let refuse = |what: &str, found: String| {
        Err(Fault::new(Code::InvalidValue, site.at("reports"), what)
            .found(found)
            .expected("globs of files of the workspace, as out/*.xml"))
    };
    if globs.is_empty() || globs.len() > GLOBS_MAX {
        return refuse("reports name no usable number of globs", globs.len().to_string());
    }
    for glob in globs {
        let leaves = glob.starts_with('/') || glob.split('/').any(|word| word == "..");
        if leaves || glob.is_empty() || GlobBuilder::new(glob).build().is_err() {
            return refuse("this is no glob of files of the workspace", glob.clone());
        }
    }
    Ok(globs.to_vec())
}
