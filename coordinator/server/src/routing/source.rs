//! The configuration's file, read again while it runs. A good one takes the place of the former; a bad
//! one, or none, leaves the former in force and says why.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maestro_router::config::Config;
use maestro_schemas::digest::Digest;

use super::Error;

/// The most bytes of a configuration.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// A configuration that holds.
#[derive(Debug)]
pub struct Held {
    /// Counts changes since the start, from 1.
    pub version: u64,
    /// What it says.
    pub config: Config,
    /// Its text, to be kept beside decisions.
    pub text: Arc<str>,
}

/// The file.
#[derive(Debug)]
pub struct Source {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<Held>>,
    /// The digest of what was read last, good or not.
    seen: Option<Digest>,
    fault: Option<String>,
}

impl Source {
    /// Reads the file for the first time.
    pub fn open(path: Option<PathBuf>) -> Self {
        let source = Self { path, state: Mutex::default() };
        source.poll();
        source
    }

    /// Reads the file where it changed; answers whether another configuration holds now.
    pub fn poll(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let text = match fs::metadata(path) {
            Ok(meta) if meta.len() > TEXT_BYTES_MAX => {
                Err(format!("{} bytes; the most is {TEXT_BYTES_MAX}", meta.len()))
            }
            Ok(_) => fs::read_to_string(path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let name = path.display().to_string();
        let mut state = self.state();
        match text {
            Err(why) => state.blame(format!("{name}: {why}")),
            Ok(text) => return state.take(text, &name),
        }
        false
    }

    /// What holds, or why nothing does.
    pub fn held(&self) -> Result<Arc<Held>, Error> {
        let state = self.state();
        let none = if self.path.is_some() { Error::Unusable } else { Error::Unconfigured };
        state.held.clone().ok_or(none)
    }

    /// What is wrong with the file as it is, while the former holds.
    pub fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, text: String, name: &str) -> bool {
        let digest = Digest::of(text.as_bytes());
        if self.seen.replace(digest) == Some(digest) {
            return false;
        }
        match Config::read(&text, name) {
            Ok(config) => {
                if let Some(key) = literal_secret(&config).or_else(|| address_with_more(&config)) {
                    self.blame(format!(
                        "{name}: a value of {key} stands in the file, where decisions would keep it; write os.environ/NAME"
                    ));
                    return false;
                }
                let version = self.held.as_ref().map_or(0, |held| held.version) + 1;
                tracing::info!(event = "router_configured", version, %digest, "a configuration holds");
                self.held = Some(Arc::new(Held { version, config, text: text.into() }));
                self.fault = None;
                true
            }
            Err(faults) => {
                self.blame(faults.to_string());
                false
            }
        }
    }

    /// Told once, for as long as it is the same.
    fn blame(&mut self, why: String) {
        if self.fault.as_ref() != Some(&why) {
            tracing::warn!(event = "router_misconfigured", why, "the former configuration stays");
            self.fault = Some(why);
        }
    }
}

/// A key or password that stands in the configuration itself. Its text is kept beside decisions, and
/// whoever may look at those would see it.
fn literal_secret(config: &Config) -> Option<&str> {
    let of_models = config.deployments.iter().flat_map(|one| &one.params.rest);
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["key", "token", "secret", "password", "credentials"]
            .iter()
            .any(|word| name.ends_with(word))
    };
    let stands = |value: &serde_json::Value| {
        value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("os.environ/"))
    };
    let mut all = of_models.chain(&config.general_settings);
    all.find(|(name, value)| is_secret(name) && stands(value)).map(|(name, _)| name.as_str())
}

/// An address with a user, a password or a query, where a key may stand.
fn address_with_more(config: &Config) -> Option<&'static str> {
    let has_more = |base: &str| {
        let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default();
        !base.starts_with("os.environ/") && (host.contains('@') || base.contains(['?', '#']))
    };
    let mut bases = config.deployments.iter().filter_map(|one| one.params.api_base.as_deref());
    bases.any(has_more).then_some("api_base with a user, a password or a query")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "model_list:\n  - model_name: a\n    litellm_params: { model: openai/gpt-4o }\n";

    #[test]
    fn a_file_that_holds_a_key_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("litellm.yaml");
        let with = |key: &str| GOOD.replace("gpt-4o }", &format!("gpt-4o, api_key: {key} }}"));
        fs::write(&path, with("sk-literal")).unwrap();
        let source = Source::open(Some(path.clone()));
        let why = source.fault().unwrap();
        assert!(why.contains("api_key") && !why.contains("sk-literal"), "{why}");
        let at = |base: &str| GOOD.replace("gpt-4o }", &format!("gpt-4o, api_base: '{base}' }}"));
        for base in ["http://u:hidden@h:1/v1", "http://h:1/v1?key=hidden"] {
            fs::write(&path, at(base)).unwrap();
            assert!(!source.poll());
            let why = source.fault().unwrap();
            assert!(why.contains("api_base") && !why.contains("hidden"), "{why}");
        }
        fs::write(&path, at("http://h:1/v1")).unwrap();
        assert!(source.poll());
        fs::write(&path, with("os.environ/OPENAI_API_KEY")).unwrap();
        assert!(source.poll());
    }

    #[test]
    fn a_bad_file_or_none_keeps_the_former_configuration_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("litellm.yaml");
        let source = Source::open(Some(path.clone()));
        assert_eq!(source.held().unwrap_err(), Error::Unusable);
        assert!(source.fault().unwrap().contains("litellm.yaml"));
        fs::write(&path, GOOD).unwrap();
        assert!(source.poll());
        assert!(!source.poll(), "it did not change");
        assert_eq!(source.held().unwrap().version, 1);

        fs::write(&path, GOOD.replace("model_list", "modle_list")).unwrap();
        assert!(!source.poll());
        assert_eq!(source.held().unwrap().version, 1);
        assert!(source.fault().unwrap().contains("modle_list"), "{:?}", source.fault());

        fs::remove_file(&path).unwrap();
        source.poll();
        assert_eq!(source.held().unwrap().version, 1);
        fs::write(&path, GOOD.replace("name: a", "name: b")).unwrap();
        assert!(source.poll());
        assert_eq!((source.held().unwrap().version, source.fault()), (2, None));
    }
}
