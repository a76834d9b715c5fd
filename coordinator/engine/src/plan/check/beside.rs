//! What stands beside a step's command, held to its limits.

use maestro_schemas::beside::{CACHES_MAX, GLOBS_MAX, is_cache_name};
use maestro_schemas::plan::Node;
use maestro_schemas::tested::TESTS_ROLE;

use super::{Checked, is_short, require, service};

/// Whether reports, caches, services and shares of a node can be trusted.
pub(super) fn check(node: &Node) -> Checked {
    let beside = &node.beside;
    let caches = beside.caches.as_deref().unwrap_or_default();
    require(caches.len() <= CACHES_MAX && caches.iter().all(|name| is_cache_name(name)), || {
        "it names caches that have no usable names, or too many".into()
    })?;
    service::check(node)?;
    let is_fan_out = node.for_each.is_some();
    require(beside.share.is_none() && (is_fan_out || !beside.splits), || {
        "it has a share of files, and is no fan-out of shares".into()
    })?;
    let globs = &beside.junit;
    let has_own = node.outputs.iter().any(|output| output.role == TESTS_ROLE);
    require(globs.is_empty() || !has_own, || {
        format!("the artifact {TESTS_ROLE:?} of a step with reports is the worker's own")
    })?;
    require(globs.len() <= GLOBS_MAX && globs.iter().all(|glob| is_short(glob)), || {
        format!("its reports are more than {GLOBS_MAX} globs, or one is empty or too long")
    })
}
