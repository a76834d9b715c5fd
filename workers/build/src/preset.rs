//! Which commands build or test a project, by its toolchain and the files that it has.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use crate::command::CommandLine;
use crate::error::Error;
use crate::parameters::{Build, Install, Request, Shell, ShellKind, Test};
use crate::plain;

/// The largest `package.json` that is read for the names of its scripts, in bytes.
const PACKAGE_JSON_BYTES_MAX: u64 = 1 << 20;

/// Runs pytest where the project has brought it, and the standard library's runner elsewhere.
const PYTHON_TEST: &str = "if python3 -c 'import pytest' 2>/dev/null; \
    then exec python3 -m pytest \"$@\"; else exec python3 -m unittest \"$@\"; fi";

/// A toolchain with presets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// Node.js projects, with npm, pnpm or yarn as their lock file says.
    TypeScript,
    /// cargo
    Rust,
    /// pip, and pytest or unittest
    Python,
    /// go
    Go,
}

impl Toolchain {
    pub(crate) const ALL: [Self; 4] = [Self::TypeScript, Self::Rust, Self::Python, Self::Go];

    fn parse(word: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|toolchain| toolchain.to_string() == word).ok_or_else(|| {
            Error::Parameters(format!(
                "{word} is no toolchain of this pool; expected typescript, rust, python or go"
            ))
        })
    }

    /// The toolchain that the files of a project speak of.
    fn detect(directory: &Path) -> Option<Self> {
        let signs: [(&str, Self); 6] = [
            ("package.json", Self::TypeScript),
            ("Cargo.toml", Self::Rust),
            ("pyproject.toml", Self::Python),
            ("setup.py", Self::Python),
            ("requirements.txt", Self::Python),
            ("go.mod", Self::Go),
        ];
        signs
            .into_iter()
            .find(|(file, _)| directory.join(file).is_file())
            .map(|(_, toolchain)| toolchain)
    }

    fn install(self, directory: &Path) -> Option<CommandLine> {
        let has = |file: &str| directory.join(file).is_file();
        match self {
            Self::TypeScript => Some(match Node::of(directory) {
                Node::Npm if has("package-lock.json") || has("npm-shrinkwrap.json") => {
                    CommandLine::of(&["npm", "ci", "--no-audit", "--no-fund"])
                }
                Node::Npm => CommandLine::of(&["npm", "install", "--no-audit", "--no-fund"]),
                Node::Pnpm => CommandLine::of(&["pnpm", "install", "--frozen-lockfile"]),
                Node::Yarn => CommandLine::of(&["yarn", "install", "--frozen-lockfile"]),
            }),
            Self::Rust => Some(cargo("fetch", directory)),
            Self::Python => {
                let target = "python3 -m pip install --quiet --target \"$HOME/python\" ";
                if has("requirements.txt") {
                    Some(CommandLine::script(&format!("{target} -r requirements.txt")))
                } else if has("pyproject.toml") || has("setup.py") {
                    Some(CommandLine::script(&format!("{target} .")))
                } else {
                    None
                }
            }
            Self::Go => Some(CommandLine::of(&["go", "mod", "download"])),
        }
    }

    fn build(self, directory: &Path) -> Result<CommandLine, Error> {
        Ok(match self {
            Self::TypeScript => node_build(directory)?,
            Self::Rust => cargo("build", directory),
            Self::Python => CommandLine::of(&[
                "python3",
                "-m",
                "pip",
                "wheel",
                "--no-deps",
                "--wheel-dir",
                "dist",
                ".",
            ]),
            Self::Go => CommandLine::of(&["go", "build", "./..."]),
        })
    }

    fn test(self, directory: &Path, suite: &str) -> CommandLine {
        match self {
            Self::TypeScript => node_test(directory, suite),
            Self::Rust => cargo("test", directory),
            Self::Python => CommandLine::script(PYTHON_TEST),
            Self::Go => CommandLine::of(&["go", "test", "./..."]),
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TypeScript => "typescript",
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Go => "go",
        })
    }
}

/// What is run, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// The commands; the first that fails is the last.
    pub(crate) commands: Vec<CommandLine>,
    /// Whether each command is shown in the log before it runs.
    pub(crate) shown: bool,
    /// The toolchain, where one is involved.
    pub(crate) toolchain: Option<Toolchain>,
}

impl Recipe {
    /// What `request` means for the project in `directory`.
    pub(crate) fn of(request: &Request, directory: &Path) -> Result<Self, Error> {
        match request {
            Request::Shell(with) => shell(with),
            Request::Build { toolchain, with } => {
                build(Toolchain::parse(toolchain)?, with, directory)
            }
            Request::Test { suite, with } => test(suite, with, directory),
            Request::Container(_) => {
                Ok(Self { commands: Vec::new(), shown: false, toolchain: None })
            }
        }
    }

    /// Variables that the toolchain needs, given the step's own home.
    pub(crate) fn variables(&self, home: &Path) -> BTreeMap<String, String> {
        match self.toolchain {
            // Where `install` puts packages: a system's own Python takes none.
            Some(Toolchain::Python) => BTreeMap::from([(
                "PYTHONPATH".to_owned(),
                home.join("python").to_string_lossy().into_owned(),
            )]),
            _ => BTreeMap::new(),
        }
    }
}

fn shell(with: &Shell) -> Result<Recipe, Error> {
    let command = match (&with.script, &with.command) {
        (Some(script), None) => CommandLine::in_shell(with.shell, script),
        (None, Some(line)) => CommandLine::from_line(line, with.shell, &[])?,
        _ => {
            return Err(Error::Parameters("shell takes either `script` or `command`".into()));
        }
    };
    Ok(Recipe { commands: vec![command], shown: false, toolchain: None })
}

fn build(toolchain: Toolchain, with: &Build, directory: &Path) -> Result<Recipe, Error> {
    let install = install(&with.install, Some(toolchain), directory)?;
    let command = match &with.command {
        Some(line) => CommandLine::from_line(line, ShellKind::Bash, &with.args)?,
        None => toolchain.build(directory)?.with_args(&with.args),
    };
    Ok(Recipe {
        commands: install.into_iter().chain([command]).collect(),
        shown: true,
        toolchain: Some(toolchain),
    })
}

fn test(suite: &str, with: &Test, directory: &Path) -> Result<Recipe, Error> {
    let toolchain = match &with.toolchain {
        Some(word) => Some(Toolchain::parse(word)?),
        None => Toolchain::detect(directory),
    };
    let with = &with.build;
    let install = install(&with.install, toolchain, directory)?;
    let command = match (&with.command, toolchain) {
        (Some(line), _) => CommandLine::from_line(line, ShellKind::Bash, &with.args)?,
        (None, Some(toolchain)) => toolchain.test(directory, suite).with_args(&with.args),
        (None, None) => {
            return Err(Error::Parameters(format!(
                "test.{suite} finds no package.json, Cargo.toml, pyproject.toml or go.mod; \
                 give it a `command`"
            )));
        }
    };
    Ok(Recipe { commands: install.into_iter().chain([command]).collect(), shown: true, toolchain })
}

fn install(
    install: &Install,
    toolchain: Option<Toolchain>,
    directory: &Path,
) -> Result<Option<CommandLine>, Error> {
    match install {
        Install::Usual(false) => Ok(None),
        Install::Usual(true) => Ok(toolchain.and_then(|toolchain| toolchain.install(directory))),
        Install::Line(line) => CommandLine::from_line(line, ShellKind::Bash, &[]).map(Some),
    }
}

/// A package manager of Node.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Npm,
    Pnpm,
    Yarn,
}

impl Node {
    fn of(directory: &Path) -> Self {
        if directory.join("pnpm-lock.yaml").is_file() {
            Self::Pnpm
        } else if directory.join("yarn.lock").is_file() {
            Self::Yarn
        } else {
            Self::Npm
        }
    }

    fn run(self, script: &str) -> CommandLine {
        match self {
            Self::Npm => CommandLine::of(&["npm", "run", script]).behind_dashes(),
            Self::Pnpm => CommandLine::of(&["pnpm", "run", script]),
            Self::Yarn => CommandLine::of(&["yarn", "run", script]),
        }
    }
}

fn node_build(directory: &Path) -> Result<CommandLine, Error> {
    if has_script(directory, "build") {
        return Ok(Node::of(directory).run("build"));
    }
    if directory.join("tsconfig.json").is_file() {
        return Ok(CommandLine::of(&["npx", "--no-install", "tsc", "-p", "."]));
    }
    Err(Error::Parameters(
        "build.typescript finds no script `build` in package.json and no tsconfig.json; \
         give it a `command`"
            .into(),
    ))
}

/// The project's own script for the suite, or its tests as a whole.
fn node_test(directory: &Path, suite: &str) -> CommandLine {
    let own = format!("test:{suite}");
    let script = if has_script(directory, &own) { &own } else { "test" };
    Node::of(directory).run(script)
}

fn cargo(verb: &str, directory: &Path) -> CommandLine {
    let line = CommandLine::of(&["cargo", verb]);
    if directory.join("Cargo.lock").is_file() { line.with("--locked") } else { line }
}

fn has_script(directory: &Path, name: &str) -> bool {
    let read = || {
        let mut bytes = Vec::new();
        let file = plain::open(&directory.join("package.json")).ok()?;
        file.take(PACKAGE_JSON_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
        let is_small = bytes.len() as u64 <= PACKAGE_JSON_BYTES_MAX;
        is_small.then(|| serde_json::from_slice::<serde_json::Value>(&bytes).ok()).flatten()
    };
    read().is_some_and(|package| {
        package.get("scripts").is_some_and(|scripts| scripts.get(name).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(files: &[(&str, &str)], action: &str, with: &str) -> Result<Vec<String>, Error> {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("a file");
        }
        let request = Request::parse(action, with.as_bytes())?;
        let recipe = Recipe::of(&request, directory.path())?;
        Ok(recipe.commands.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_toolchain_is_told_by_the_projects_files() {
        let node = r#"{"scripts":{"build":"tsc","test":"x","test:e2e":"y"}}"#;
        let node = [("package.json", node), ("package-lock.json", "{}")];
        let install = "npm ci --no-audit --no-fund";
        let commands = recipe(&node, "test.unit", "").expect("a recipe");
        assert_eq!(commands, [install, "npm run test"]);
        let commands = recipe(&node, "test.e2e", r#"{"args":["-x"]}"#).expect("a recipe");
        assert_eq!(commands, [install, "npm run test:e2e -- -x"]);
        let commands = recipe(&node, "build.typescript", "").expect("a recipe");
        assert_eq!(commands, [install, "npm run build"]);
        let rust = [("Cargo.toml", ""), ("Cargo.lock", "")];
        let commands = recipe(&rust, "test.unit", "").expect("a recipe");
        assert_eq!(commands, ["cargo fetch --locked", "cargo test --locked"]);
        let commands = recipe(&[("go.mod", "")], "test.unit", "").expect("a recipe");
        assert_eq!(commands, ["go mod download", "go test ./..."]);
    }

    #[test]
    fn what_with_says_goes_before_the_preset() {
        let with = r#"{"command":"make all","install":false,"args":["X=1"]}"#;
        let commands = recipe(&[], "build.go", with).expect("a recipe");
        assert_eq!(commands, ["make all X=1"]);
        let with = r#"{"command":["make"],"install":"./fetch"}"#;
        let commands = recipe(&[], "test.unit", with).expect("a recipe");
        assert_eq!(commands, ["./fetch", "make"]);
    }

    #[test]
    fn what_cannot_be_guessed_is_said() {
        let error = recipe(&[], "test.unit", "").expect_err("refused");
        assert!(error.to_string().contains("`command`"), "{error}");
        let error = recipe(&[], "build.cobol", "").expect_err("refused");
        assert!(error.to_string().contains("typescript, rust"), "{error}");
        let error = recipe(&[("package.json", "{}")], "build.typescript", "").expect_err("refused");
        assert!(error.to_string().contains("tsconfig.json"), "{error}");
        for with in ["{}", r#"{"script":"a","command":"b"}"#, r#"{"command":[]}"#] {
            recipe(&[], "shell", with).expect_err("refused");
        }
    }
}
