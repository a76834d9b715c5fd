//! How a service reaches the bus and the artifacts.

use maestro_evidence::store::ArtifactStore;
use maestro_streams::connect::ConnectOptions;
use maestro_streams::topology::Role;

use crate::env_vars;
use crate::error::Error;

/// Where the bus and the artifacts are.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    /// The bus, as nats://127.0.0.1:4222.
    #[arg(long, env = env_vars::NATS_URL, value_name = "URL")]
    pub nats: String,
    /// The bus' user; without it the role's own name.
    #[arg(long, env = env_vars::NATS_USER, value_name = "NAME")]
    pub nats_user: Option<String>,
    /// Where artifacts are kept: a directory, or s3://bucket/prefix.
    #[arg(long, env = env_vars::STORE, value_name = "ADDRESS")]
    pub store: String,
    /// This process' name; the host's name and the process id where it is not given.
    #[arg(long, env = env_vars::NAME, value_name = "NAME")]
    pub name: Option<String>,
}

impl Reach {
    /// How `role` connects; the password comes from the environment, never from a flag.
    pub fn bus(&self, role: &Role) -> ConnectOptions {
        let user = self.nats_user.clone().unwrap_or_else(|| role.user());
        let password = std::env::var(env_vars::NATS_PASSWORD).unwrap_or_default();
        let options = ConnectOptions::new(self.nats.clone(), self.name(), role);
        if password.is_empty() { options } else { options.credentials(user, password) }
    }

    /// How the API that a coordinator serves connects: as a user of its own.
    pub fn api_bus(&self) -> ConnectOptions {
        let role = Role::Api;
        let password = std::env::var(env_vars::API_NATS_PASSWORD).unwrap_or_default();
        let options = ConnectOptions::new(self.nats.clone(), self.name(), &role);
        if password.is_empty() { options } else { options.credentials(role.user(), password) }
    }

    /// This process' name.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            format!("{}-{}", host.unwrap_or_else(|| "maestro".into()), std::process::id())
        })
    }

    /// The artifacts.
    pub fn store(&self) -> Result<ArtifactStore, Error> {
        ArtifactStore::open(&self.store)
            .map_err(|source| Error::service("open the artifact store", source))
    }
}
