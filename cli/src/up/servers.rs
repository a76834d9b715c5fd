//! What the servers of a local stack are started with: a user for each role.

use std::path::Path;

use maestro_streams::topology::permission::{Role, permissions};

use crate::local::nats_config::{Permissions, Rule};
use crate::local::stack::Options;

/// The project that is meant where none is named.
pub const PROJECT: &str = "default";
/// The pools that this binary serves.
pub const POOLS: [&str; 3] = [maestro_build::POOL, maestro_build::STRICT_POOL, maestro_llm::POOL];
/// The name of the API token among the credentials.
pub const TOKEN: &str = "api";
/// The name of the passphrase of the keys that sign evidence.
pub const KEYS: &str = "keys";

/// Every role that connects to the bus here.
pub fn roles() -> Vec<Role> {
    let mut roles = vec![Role::Coordinator, Role::Api];
    roles.extend(POOLS.iter().filter_map(|pool| pool.parse().ok()).map(Role::Worker));
    roles.extend(PROJECT.parse().ok().map(Role::Submitter));
    roles
}

/// The servers' options.
pub fn options(project: &Path) -> Options {
    let mut options = Options::new(project);
    options.users = roles().iter().map(|role| (role.user(), allowed(role))).collect();
    options.secrets = vec![TOKEN.to_owned(), KEYS.to_owned()];
    options
}

/// What a role may do, as the server's configuration says it.
pub fn allowed(role: &Role) -> Permissions {
    let permissions = permissions(role);
    let only = |allow| Rule::Only { allow, deny: vec![] };
    Permissions {
        publish: only(permissions.publish),
        subscribe: only(permissions.subscribe),
        responses: role.answers(),
    }
}
