//! What stands beside a step's command: reports.

use globset::GlobBuilder;
use maestro_schemas::beside::{Beside, GLOBS_MAX};
use maestro_schemas::name::PoolName;

use super::action::BUILD_POOL;
use super::node::{Builder, Faults, SiteOf};
use crate::pipeline::{Code, Fault};

impl Builder<'_> {
    /// What the step says of it; nothing that only its own worker could do for a step of another pool.
    pub(super) fn beside(&self, site: &SiteOf<'_>, pool: &PoolName, faults: &mut Faults) -> Beside {
        let step = &site.draft.site.step;
        if pool.as_str() != BUILD_POOL && step.reports.is_some() {
            let what = "only steps of the pool build have commands that write reports";
            faults.0.push(
                Fault::new(Code::InvalidValue, site.at("reports"), what)
                    .found(format!("reports, on a step of the pool {pool}"))
                    .hint("take it out"),
            );
            return Beside::default();
        }
        Beside { junit: faults.take(junit(site)) }
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
