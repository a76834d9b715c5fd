//! What can go wrong with a command: what, where, what was expected, a hint, a code, an exit code.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client;
use crate::exit::Exit;
use crate::view::clean::clean;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The directory's files or its repository could not be read.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The local servers could not be found, started or reached.
    #[error(transparent)]
    Local(#[from] crate::local::Error),
    /// The pipeline does not compile; the text names every place.
    #[error("{} does not compile", .0.file)]
    Pipeline(crate::compile::Rejected),
    /// A file of outcomes is not one.
    #[error("{}:{}:{}: {}", path.display(), malformed.line, malformed.column, malformed.what)]
    Outcomes {
        /// The file.
        path: PathBuf,
        /// The place, and what is wrong there.
        malformed: maestro_router::simulate::outcome::Malformed,
    },
    /// The router's configuration is none; the text names every place.
    #[error("{} is no configuration of the router", .0.file)]
    Router(maestro_router::config::fault::Faults),
    /// The file of Ollama hosts is none; the text names every place.
    #[error("{} is no file of Ollama hosts", .0.file)]
    Hosts(maestro_router::config::fault::Faults),
    /// A bundle of policies does not compile; the text names every place.
    #[error("{} does not compile", directory.display())]
    Policies {
        /// The bundle.
        directory: PathBuf,
        /// Everything that is wrong with it.
        faults: Vec<maestro_policies::fault::Fault>,
    },
    /// A file is no input of a hook.
    #[error("{} is no input of the hook {hook}", path.display())]
    HookInput {
        /// The file.
        path: PathBuf,
        /// The hook.
        hook: maestro_schemas::verdict::Hook,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A text is no prompt.
    #[error("{}: {fault}", path.display())]
    Prompt {
        /// The file, or the version.
        path: PathBuf,
        /// The line, and what is wrong there.
        fault: maestro_prompts::Fault,
    },
    /// A prompt cannot be rendered with these values.
    #[error("{}: {fault}", path.display())]
    Rendering {
        /// The file, or the version.
        path: PathBuf,
        /// The line, and what is wrong.
        fault: maestro_prompts::Fault,
    },
    /// A key, or a directory of keys, cannot be used.
    #[error(transparent)]
    Key(#[from] maestro_evidence::key::Error),
    /// A file of expectations cannot be read.
    #[error("{}: {source}", path.display())]
    Expectation {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A registry did not do what it was asked for.
    #[error(transparent)]
    Registry(#[from] maestro_build::container::registry::Error),
    /// The file of credentials for registries cannot be used.
    #[error(transparent)]
    RegistryAuth(#[from] maestro_build::container::credentials::Error),
    /// A directory's packages could not be read.
    #[error(transparent)]
    Sbom(#[from] maestro_evidence::sbom::Error),
    /// The audit log is not as it was signed.
    #[error("{message}{}", if *.more == 0 { String::new() } else { format!("; and {more} more") })]
    Audit {
        /// What was found first.
        message: String,
        /// How much more was found.
        more: usize,
        /// Whether it is about a signed head and not about an entry.
        is_head: bool,
    },
    /// A proof of an entry of the audit log does not hold.
    #[error("{what} is no proof that holds")]
    Proof {
        /// The file, or the entry.
        what: String,
        /// What is wrong.
        source: maestro_evidence::log::Error,
    },
    /// Key-encryption keys cannot be made or used.
    #[error(transparent)]
    KeyFile(maestro_evidence::secret::kek::Error),
    /// The arguments contradict each other or what is there.
    #[error("{message}")]
    Usage {
        /// What was found and what was expected.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// What was named is not there.
    #[error("{what} was not found")]
    NotFound {
        /// Its kind and its name.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file of the user's could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody reads standard output any more, or its disk is full.
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    /// A value of ours does not encode as JSON.
    #[error("a value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The system refuses threads, signals or sockets.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The process that owns the local stack could not start it.
    #[error("the local stack does not start: {message}")]
    Stack {
        /// What it said.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A role that runs as a service cannot start, or ended.
    #[error("cannot {action}")]
    Service {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Bytes from the server are not those that their digest names.
    #[error("{what} does not verify: expected {expected}, found {found}")]
    Corrupt {
        /// What was fetched.
        what: String,
        /// The digest that it was asked for by.
        expected: String,
        /// The digest of what came.
        found: String,
    },
}

impl Error {
    /// A usage error with a hint.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// What a service could not do.
    pub fn service(
        action: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Service { action, source: source.into() }
    }

    /// For `map_err` on what touches a file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// The process' exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(client) => client.exit(),
            Self::Usage { .. } => Exit::Usage,
            Self::NotFound { .. } => Exit::NotFound,
            _ => Exit::Error,
        }
    }

    /// A stable code with a page in `docs/errors/`, where there is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Client(client) => client.code(),
            Self::Outcomes { .. } => Some("MAE-4001"),
            Self::Router(faults) | Self::Hosts(faults) => {
                faults.faults.first().map(|fault| fault.code.as_str())
            }
            Self::Policies { faults, .. } => faults.first().map(|fault| fault.code),
            Self::HookInput { .. } => Some("MAE-5007"),
            Self::Sbom(refused) => Some(refused.code().as_str()),
            Self::Registry(error) => Some(error.code()),
            Self::RegistryAuth(_) => Some("MAE-7033"),
            Self::KeyFile(_) => Some("MAE-7060"),
            Self::Prompt { .. } => Some("MAE-6001"),
            Self::Rendering { .. } => Some("MAE-6002"),
            Self::Key(error) => Some(error.code()),
            Self::Expectation { .. } => Some("MAE-7096"),
            Self::Audit { is_head: false, .. } => Some("MAE-7075"),
            Self::Audit { .. } => Some("MAE-7076"),
            Self::Proof { .. } => Some("MAE-7077"),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(client) => client.hint(),
            Self::Source(source) => source.hint(),
            Self::Local(local) => local.hint(),
            Self::Outcomes { .. } => Some(
                "the head is topic,prompt_chars,weak_correct,strong_correct, in any order, and a row is as high_school_chemistry,329,0,1"
                    .to_owned(),
            ),
            Self::Expectation { .. } => {
                Some("the fields of a file of expectations stand in docs/supply-chain.md".to_owned())
            }
            Self::HookInput { .. } => {
                Some("the fields of each hook stand in docs/policies.md".to_owned())
            }
            Self::Sbom(refused) => Some(refused.hint().to_owned()),
            // Here it is no worker that asks.
            Self::Registry(error) if error.is_denial() => Some(
                "--registry-auth, or MAESTRO_REGISTRY_AUTH, names a Docker config.json with credentials for it"
                    .to_owned(),
            ),
            Self::Registry(error) => Some(error.hint().to_owned()),
            Self::RegistryAuth(_) => {
                Some("--registry-auth names a Docker config.json with `auths`".to_owned())
            }
            Self::Prompt { .. } => Some("the form of a prompt stands in docs/prompts.md".to_owned()),
            Self::Rendering { .. } => Some(
                "give a value with --var name=value, or several with --vars FILE.json".to_owned(),
            ),
            Self::KeyFile(_) => Some(
                "`maestro secrets keys init FILE` makes a file, `maestro secrets keys list FILE` shows what one holds; a key of AWS KMS is named by its ARN"
                    .to_owned(),
            ),
            Self::Usage { hint, .. } | Self::NotFound { hint, .. } | Self::Stack { hint, .. } => {
                hint.clone()
            }
            _ => None,
        }
    }

    /// Whether there is nobody to tell: the reader of a pipe has gone.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The error for people, over several lines, safe to show in a terminal.
    pub fn render(&self) -> String {
        let mut text = match self.code() {
            Some(code) => format!("error[{code}]: {self}"),
            None => format!("error: {self}"),
        };
        for cause in self.causes() {
            let _ = write!(text, "\n  caused by: {cause}");
        }
        if let Self::Pipeline(rejected) = self {
            let _ = write!(text, "\n{}", rejected.render());
        }
        if let Self::Router(faults) | Self::Hosts(faults) = self {
            let _ = write!(text, "\n{faults}");
        }
        if let Self::Policies { faults, .. } = self {
            let _ = write!(text, "\n{}", crate::commands::policy::faults(faults));
        }
        if let Some(hint) = self.hint() {
            let _ = write!(text, "\n  hint: {hint}");
        }
        text.lines().map(clean).collect::<Vec<_>>().join("\n")
    }

    /// The error for programs.
    pub fn json(&self) -> Value {
        let diagnostics = match self {
            Self::Pipeline(rejected) => Some(json!(rejected.diagnostics)),
            Self::Router(faults) | Self::Hosts(faults) => Some(json!(faults.faults)),
            Self::Policies { faults, .. } => Some(json!(faults)),
            _ => None,
        };
        json!({ "error": {
            "message": self.to_string(),
            "causes": self.causes(),
            "code": self.code(),
            "hint": self.hint(),
            "exit": self.exit().code(),
            "diagnostics": diagnostics,
        }})
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = Error::File {
            action: "write",
            path: "maestro.yaml".into(),
            source: io::Error::new(io::ErrorKind::PermissionDenied, "permission denied"),
        };
        assert_eq!(
            error.render(),
            "error: cannot write maestro.yaml\n  caused by: permission denied"
        );
        let error = Error::usage("both --plan and --pipeline are given", "give one of them");
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(
            error.render(),
            "error: both --plan and --pipeline are given\n  hint: give one of them"
        );
    }

    #[test]
    fn a_name_from_elsewhere_cannot_steer_the_terminal() {
        let error = Error::NotFound { what: "step \u{1b}[2Jx".into(), hint: None };
        assert!(!error.render().contains('\u{1b}'));
    }
}
