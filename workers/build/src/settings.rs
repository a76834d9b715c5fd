//! What a worker's host gives to every step: where programs are found, how the network is reached,
//! where package managers keep what they fetched.
//!
//! The rest of the worker's own environment stays with the worker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables that say where this host's toolchains are, and how it reaches and trusts the network.
/// Two machines differ in them without a step's result differing.
const HOST_VARIABLES: [&str; 22] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// Where programs are looked for when the worker was started without a search path.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the host gives to every step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `PATH` of every step.
    pub path: String,
    /// Further variables of every step; what a step declares goes before them.
    pub host: BTreeMap<String, String>,
    /// A directory in which package managers keep what they fetched, with one below it for each
    /// project, so that none can spoil another's; absent means that every step fetches anew.
    pub caches: Option<PathBuf>,
    /// A Docker `config.json` with the worker's credentials for registries; no step sees it.
    pub registry_auth: Option<PathBuf>,
    /// Directories below which a step may check a repository out by its path; none where empty.
    pub checkout_roots: Vec<PathBuf>,
}

impl Settings {
    /// Takes from the worker's own environment what is the host's.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let mut host: BTreeMap<_, _> = HOST_VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), variables.get(*name)?.clone())))
            .collect();
        // rustup looks below HOME, which a step has of its own.
        let rustup = variables
            .get("HOME")
            .map(|home| Path::new(home).join(".rustup"))
            .filter(|path| path.is_dir());
        if let Some(rustup) = rustup {
            host.entry("RUSTUP_HOME".to_owned())
                .or_insert_with(|| rustup.to_string_lossy().into_owned());
        }
        Self {
            path: variables
                .get("PATH")
                .filter(|path| !path.is_empty())
                .cloned()
                .unwrap_or_else(|| PATH_DEFAULT.to_owned()),
            host,
            caches: None,
            registry_auth: None,
            checkout_roots: Vec::new(),
        }
    }

    /// The same, with package managers' caches kept in `directory`.
    pub fn with_caches(mut self, directory: impl Into<PathBuf>) -> Self {
        self.caches = Some(directory.into());
        self
    }

    /// The same, with credentials for registries from `file`.
    pub fn with_registry_auth(mut self, file: Option<PathBuf>) -> Self {
        // Programs that are given it run elsewhere.
        self.registry_auth = file.map(|file| std::path::absolute(&file).unwrap_or(file));
        self
    }

    /// The same, with repositories below `roots` checked out by their paths.
    pub fn with_checkout_roots(mut self, roots: Vec<PathBuf>) -> Self {
        self.checkout_roots = roots;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosts_variables_are_taken() {
        let variables = [
            ("PATH", "/bin"),
            ("HTTPS_PROXY", "http://proxy:1"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let settings = Settings::from_variables(
            variables.map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(settings.path, "/bin");
        assert_eq!(settings.host.keys().collect::<Vec<_>>(), ["HTTPS_PROXY"]);
    }
}
