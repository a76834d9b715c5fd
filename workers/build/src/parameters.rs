//! What a step may say in `with`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::container::{self, Container};
use crate::error::Error;

/// Parameters of `shell`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shell {
    /// Lines for the shell; the first command that fails ends them. Either this or `command`.
    #[serde(default)]
    pub(crate) script: Option<String>,
    /// A program and its arguments, or one line for the shell. Either this or `script`.
    #[serde(default)]
    pub(crate) command: Option<Line>,
    /// Which shell takes `script` and a `command` of one line.
    #[serde(default)]
    pub(crate) shell: ShellKind,
    /// Where it runs, relative to the workspace.
    #[serde(default)]
    pub(crate) working_directory: Option<String>,
    /// What joins the step's key beside all else; nobody reads it.
    #[serde(default)]
    pub(crate) cache_key: Option<serde_json::Value>,
}

/// Parameters of `build.<toolchain>`; keys of other names are allowed and only count for the step's
/// key, as `cache_key`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Build {
    /// What is executed, instead of the toolchain's usual command.
    #[serde(default)]
    pub(crate) command: Option<Line>,
    /// What is appended to the command.
    #[serde(default)]
    pub(crate) args: Vec<Word>,
    /// What fetches dependencies first, instead of the toolchain's usual command; `false` for none.
    #[serde(default)]
    pub(crate) install: Install,
    /// Where it runs, relative to the workspace.
    #[serde(default)]
    pub(crate) working_directory: Option<String>,
    /// Whether what it is made of is kept, as an artifact `sbom`; or of which directory.
    #[serde(default)]
    pub(crate) sbom: Sbom,
}

/// Parameters of `test.<suite>`: those of a build, and what it is built with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Test {
    /// What is tested with; absent means what the project's files say.
    #[serde(default)]
    pub(crate) toolchain: Option<String>,
    #[serde(flatten)]
    pub(crate) build: Build,
}

/// Whether an SBOM is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Sbom {
    /// Of the directory that the step runs in, or none.
    Here(bool),
    /// Of another directory.
    Of(SbomOf),
}

/// Of what an SBOM is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SbomOf {
    /// The directory, relative to the workspace.
    pub(crate) path: String,
}

impl Default for Sbom {
    fn default() -> Self {
        Self::Here(false)
    }
}

/// A shell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShellKind {
    /// `bash -eo pipefail`
    #[default]
    Bash,
    /// `sh -e`
    Sh,
}

/// A program with arguments, or a line for the shell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Line {
    /// One line, for the shell.
    Shell(String),
    /// A program and its arguments; no shell is involved.
    Words(#[schemars(length(min = 1))] Vec<Word>),
}

/// What fetches dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Install {
    /// The toolchain's usual command, or none.
    Usual(bool),
    /// This command.
    Line(Line),
}

impl Default for Install {
    fn default() -> Self {
        Self::Usual(true)
    }
}

/// An argument: a text, or a number or truth value, which YAML does not quote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word(pub(crate) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                Ok(Self(value.to_string()))
            }
            _ => Err(serde::de::Error::custom("an argument is a text, a number or a truth value")),
        }
    }
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// `shell`
    Shell(Shell),
    /// `build.<toolchain>`
    Build {
        /// The word behind the dot.
        toolchain: String,
        /// Its parameters.
        with: Build,
    },
    /// `test.<suite>`
    Test {
        /// The word behind the dot.
        suite: String,
        /// Its parameters.
        with: Test,
    },
    /// `container.build`
    Container(Box<Container>),
}

impl Request {
    /// Reads an action's name and its `with` as JSON.
    pub(crate) fn parse(action: &str, with: &[u8]) -> Result<Self, Error> {
        match action.split_once('.') {
            None if action == "shell" => Ok(Self::Shell(read(action, with)?)),
            Some(("build", toolchain)) => {
                Ok(Self::Build { toolchain: toolchain.to_owned(), with: read(action, with)? })
            }
            Some(("test", suite)) => {
                Ok(Self::Test { suite: suite.to_owned(), with: read(action, with)? })
            }
            _ if action == container::NAME => Ok(Self::Container(Box::new(read(action, with)?))),
            _ => Err(Error::Parameters(format!(
                "the build pool serves shell, build.<toolchain>, test.<suite> and {}, not {action}",
                container::NAME
            ))),
        }
    }

    /// Where it runs, relative to the workspace.
    pub(crate) fn working_directory(&self) -> Option<&str> {
        match self {
            Self::Shell(with) => with.working_directory.as_deref(),
            Self::Build { with, .. } => with.working_directory.as_deref(),
            Self::Test { with, .. } => with.build.working_directory.as_deref(),
            Self::Container(_) => None,
        }
    }

    /// The directory that an SBOM is asked for of, relative to the workspace.
    pub(crate) fn sbom(&self) -> Option<&str> {
        let with = match self {
            Self::Shell(_) | Self::Container(_) => return None,
            Self::Build { with, .. } => with,
            Self::Test { with, .. } => &with.build,
        };
        match &with.sbom {
            Sbom::Here(false) => None,
            Sbom::Here(true) => Some(self.working_directory().unwrap_or_default()),
            Sbom::Of(of) => Some(&of.path),
        }
    }
}

fn read<T: for<'de> Deserialize<'de> + Default>(action: &str, with: &[u8]) -> Result<T, Error> {
    if matches!(with, b"" | b"null") {
        return Ok(T::default());
    }
    serde_json::from_slice(with)
        .map_err(|error| Error::Parameters(format!("`with` of {action} is refused: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_step_refuses_keys_that_it_does_not_know() {
        let error = Request::parse("shell", br#"{"scirpt":"x"}"#).expect_err("refused");
        assert!(error.to_string().contains("scirpt"), "{error}");
    }

    #[test]
    fn a_build_step_takes_any_further_key() {
        let request = Request::parse("build.typescript", br#"{"cache_key":"x","args":["-p",80]}"#);
        let Ok(Request::Build { toolchain, with }) = request else {
            panic!("{request:?}");
        };
        assert_eq!(toolchain, "typescript");
        assert_eq!(with.args, [Word("-p".into()), Word("80".into())]);
    }

    #[test]
    fn a_step_without_parameters_has_the_usual_ones() {
        for with in ["", "null", "{}"] {
            let request = Request::parse("test.unit", with.as_bytes()).expect("a request");
            assert!(matches!(request, Request::Test { with, .. } if with == Test::default()));
        }
    }

    #[test]
    fn a_test_step_takes_what_a_build_takes_and_any_further_key() {
        let with =
            br#"{"toolchain":"node","command":["vitest",1.5],"install":false,"cache_key":1}"#;
        let Ok(Request::Test { with, .. }) = Request::parse("test.unit", with) else {
            panic!("refused");
        };
        let words = vec![Word("vitest".into()), Word("1.5".into())];
        assert_eq!(with.toolchain.as_deref(), Some("node"));
        assert_eq!(with.build.command, Some(Line::Words(words)));
        assert_eq!(with.build.install, Install::Usual(false));
    }
}
