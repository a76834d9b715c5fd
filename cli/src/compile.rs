//! A pipeline file made a plan on this machine, by the same compiler that the server has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maestro_build::BuildPool;
use maestro_build::settings::Settings;
use maestro_engine::pipeline::{Diagnostic, Diagnostics};
use maestro_engine::plan::sources::{Git, Sources};
use maestro_engine::plan::{Compiled, Request, UNKNOWN_DURATIONS, compile};
use maestro_kit::action::Handler as _;
use maestro_llm::LlmPool;
use maestro_schemas::api::plans::Catalogue;
use maestro_schemas::api::tested::Durations;
use serde_json::Value;

use crate::absent;
use crate::client::Client;
use crate::commands::runs::name::pair;
use crate::error::Error;
use crate::output::Output;
use crate::source::git;
use crate::source::snapshot::Snapshot;
use crate::view::clean::{clean, cut};

/// A pipeline's text is no longer.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// So much of a line is shown.
const EXCERPT: usize = 100;

/// Which pipeline, and what for.
#[derive(Debug, Clone, clap::Args)]
pub struct PipelineArgs {
    /// The pipeline's file; its directory is what the steps' workspaces begin with.
    #[arg(long, short, value_name = "FILE", default_value = "maestro.yaml")]
    pub pipeline: PathBuf,
    /// A value for an input of the pipeline; may be given several times.
    #[arg(long = "input", short, value_name = "K=V", value_parser = pair)]
    pub inputs: Vec<(String, String)>,
}

impl PipelineArgs {
    /// The inputs as the compiler takes them: it reads texts by the inputs' types.
    pub fn values(&self) -> BTreeMap<String, Value> {
        self.inputs.iter().map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect()
    }
}

/// A pipeline's file and all that it can name.
#[derive(Debug)]
pub struct Project {
    file: String,
    text: String,
    /// The directory's files.
    pub snapshot: Snapshot,
    git: Option<Git>,
}

/// What is wrong with a pipeline.
#[derive(Debug)]
pub struct Rejected {
    /// The file.
    pub file: String,
    /// Each fault.
    pub diagnostics: Vec<Diagnostic>,
    text: String,
}

impl Project {
    /// Reads the file, the directory that it lies in, and what git says of it.
    pub fn read(pipeline: &Path) -> Result<Self, Error> {
        let text = read_text(pipeline)?;
        let root = match pipeline.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let snapshot = Snapshot::take(root)?;
        Ok(Self { file: pipeline.display().to_string(), text, git: git::facts(root)?, snapshot })
    }

    /// Compiles it against a catalogue.
    pub fn compile(
        &self,
        inputs: &BTreeMap<String, Value>,
        catalogue: &Catalogue,
    ) -> Result<Compiled, Error> {
        self.compile_with(inputs, catalogue, &UNKNOWN_DURATIONS)
    }

    /// The same against what a server knows. What is wanted of it and is not there is told. Where files are shared out, it is asked how long each took;
    /// where that cannot be had, they are shared out as if nothing were known of it.
    pub async fn compile_for(
        &self,
        inputs: &BTreeMap<String, Value>,
        catalogue: &Catalogue,
        client: &Client,
        output: Output,
    ) -> Result<Compiled, Error> {
        let compiled = self.compile(inputs, catalogue)?;
        for warning in absent::secrets(&compiled.plan, client).await {
            warn(&warning, output);
        }
        if !compiled.plan.nodes.iter().any(|node| node.beside.splits) {
            return Ok(compiled);
        }
        match client.test_durations(&compiled.plan.name).await {
            Ok(durations) => self.compile_with(inputs, catalogue, &durations),
            Err(error) => {
                let warning = format!(
                    "how long tests took is not known, and their files are shared out evenly: {error}"
                );
                warn(&warning, output);
                Ok(compiled)
            }
        }
    }

    fn compile_with(
        &self,
        inputs: &BTreeMap<String, Value>,
        catalogue: &Catalogue,
        durations: &Durations,
    ) -> Result<Compiled, Error> {
        let sources = Sources {
            files: &self.snapshot,
            tree: Some(&self.snapshot.tree),
            git: self.git.as_ref(),
        };
        let (file, text) = (&self.file, &self.text);
        let request = Request { file, text, inputs, sources, catalogue, durations };
        compile(request).map_err(|Diagnostics(diagnostics)| {
            let (file, text) = (self.file.clone(), self.text.clone());
            Error::Pipeline(Rejected { file, diagnostics, text })
        })
    }
}

fn warn(text: &str, output: Output) {
    output.talk(&format!("{} {}", output.paint_talk().warn("warning:"), clean(text)));
}

/// What the pools in this binary serve: for a compilation that no server can be asked about.
pub fn built_in() -> Catalogue {
    let actions = BuildPool::new(Settings::from_variables([])).actions();
    let actions = actions.into_iter().chain(LlmPool::catalogue());
    Catalogue { actions: actions.map(|action| (action.name.clone(), action)).collect() }
}

fn read_text(path: &Path) -> Result<String, Error> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound {
                what: format!("the pipeline {}", path.display()),
                hint: Some(
                    "begin one with `maestro init`, or name another with --pipeline".to_owned(),
                ),
            });
        }
        Ok(meta) if meta.len() > TEXT_BYTES_MAX => {
            let message = format!(
                "{} has {} bytes; a pipeline has at most {TEXT_BYTES_MAX}",
                path.display(),
                meta.len()
            );
            return Err(Error::Usage { message, hint: None });
        }
        _ => {}
    }
    std::fs::read_to_string(path).map_err(Error::file("read", path))
}

impl Rejected {
    /// Each fault with the line that it stands in.
    pub fn render(&self) -> String {
        let faults = self.diagnostics.iter().map(|fault| self.fault(fault));
        faults.collect::<Vec<_>>().join("\n")
    }

    fn fault(&self, fault: &Diagnostic) -> String {
        let mut lines = vec![format!(
            "{}:{}:{}: {} {}",
            fault.file, fault.line, fault.column, fault.code, fault.message
        )];
        lines.extend(self.excerpt(fault));
        let more = [("found", &fault.found), ("expected", &fault.expected), ("hint", &fault.hint)];
        for (label, text) in more {
            lines.extend(text.iter().map(|text| format!("  {label}: {text}")));
        }
        lines.join("\n")
    }

    fn excerpt(&self, fault: &Diagnostic) -> Option<String> {
        let number = usize::try_from(fault.line).ok()?.checked_sub(1)?;
        let line = self.text.lines().nth(number).filter(|_| fault.file == self.file)?;
        let column = usize::try_from(fault.column).ok()?.saturating_sub(1).min(EXCERPT);
        let (gutter, line) = (fault.line.to_string(), cut(&clean(line), EXCERPT));
        let blank = " ".repeat(gutter.len());
        Some(format!("  {gutter} | {line}\n  {blank} | {}^", " ".repeat(column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::address::Address;
    use crate::output::Color;

    fn project(text: &str) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maestro.yaml");
        std::fs::write(&path, text).unwrap();
        let project = Project::read(&path).unwrap();
        (dir, project)
    }

    #[test]
    fn every_template_compiles_with_what_this_binary_serves() {
        use crate::commands::init::Template;
        use clap::ValueEnum as _;
        for template in Template::value_variants() {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in template.files() {
                let path = dir.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let project = Project::read(&dir.path().join("maestro.yaml")).unwrap();
            let compiled =
                project.compile(&BTreeMap::new(), &built_in()).map_err(|error| error.render());
            let plan = compiled.unwrap().plan;
            let kinds: Vec<(&str, &str)> = plan
                .unresolved
                .iter()
                .map(|thing| (thing.kind.as_str(), thing.name.as_str()))
                .collect();
            // The commit comes with the repository that `init` begins.
            let expected: &[(&str, &str)] = match template {
                Template::IntelgraphBuild => &[("git", "git.sha")],
                _ => &[],
            };
            assert_eq!(kinds, expected, "{template:?}");
        }
    }

    #[test]
    fn a_fault_shows_the_line_that_it_stands_in() {
        let (_dir, project) = project("name: x\nstages:\n  - name: a\n    stpes: []\n");
        let Err(Error::Pipeline(rejected)) = project.compile(&BTreeMap::new(), &built_in()) else {
            panic!("it compiles");
        };
        let text = rejected.render();
        assert!(text.contains(":4:5: MAE-1"), "{text}");
        assert!(text.contains("  4 |     stpes: []\n    |     ^"), "{text}");
        assert!(text.contains("did you mean \"steps\"?"), "{text}");
    }

    #[tokio::test]
    async fn where_durations_cannot_be_had_files_are_shared_out_all_the_same() {
        let (dir, _) = project("name: x\n");
        let text = "name: x\nstages:\n  - name: s\n    steps:\n      - name: unit\n        run: shell\n        \
                    split: { files: '*.py', parts: 2 }\n        with: { script: 'true' }\n";
        for (name, text) in [("maestro.yaml", text), ("a.py", ""), ("b.py", "")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let project = Project::read(&dir.path().join("maestro.yaml")).unwrap();
        // Nobody listens there any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        drop(listener);
        let client = Client::new(address, "p".parse().unwrap(), None).unwrap();
        let output = Output::new(false, Color::Never);
        let (inputs, catalogue) = (BTreeMap::new(), built_in());
        let compiled = project.compile_for(&inputs, &catalogue, &client, output).await.unwrap();
        assert_eq!(compiled.plan, project.compile(&inputs, &catalogue).unwrap().plan);
        assert!(compiled.plan.nodes[0].beside.splits);
    }
}
