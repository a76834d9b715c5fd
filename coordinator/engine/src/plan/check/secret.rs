//! The secrets of a node: as many as there may be, each for a variable of its own.

use maestro_schemas::plan::Node;
use maestro_schemas::secret::USES_MAX;

use super::{Checked, RESERVED, is_variable, require};

pub(super) fn check(node: &Node) -> Checked {
    require(node.secrets.len() <= USES_MAX, || {
        format!("{} secrets are too many; the most is {USES_MAX}", node.secrets.len())
    })?;
    let mut names = node.secrets.keys();
    require(names.all(|name| is_variable(name) && !name.starts_with(RESERVED)), || {
        "a variable of its secrets is not letters, digits and _, or is Maestro's own".into()
    })?;
    require(node.secrets.keys().all(|name| !node.env.contains_key(name)), || {
        "a variable of its secrets is one of its environment too".into()
    })
}
