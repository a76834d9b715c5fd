//! What the records say of the run and of its attempts, held against the manifest and the statements.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, ExecutionId, RunId};
use maestro_schemas::plan::{Plan, Workspace};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::chain::Stated;
use super::files::{Listing, read as read_file};
use super::{CONTRADICTION, Finding};
use crate::statement::Statement;
use crate::statement::provenance::BYPRODUCTS;
use crate::statement::run::{RunEvidence, file};

/// The largest record that is read, in bytes: a plan may have 32 MiB.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// What the records say.
#[derive(Debug, Default)]
pub(super) struct Records {
    run: String,
    plan: Option<Plan>,
    /// Attempts that succeeded, by step and number.
    attempts: BTreeMap<([u32; 3], u32), Attempt>,
    /// Ids of steps of which an attempt succeeded, or whose result was taken over.
    pub(super) succeeded: BTreeSet<String>,
    /// What was asked of the run, by the command's id.
    pub(super) commands: BTreeMap<String, Command>,
}

/// Something that was asked of the run, as far as it is compared.
#[derive(Debug, Deserialize)]
pub(super) struct Command {
    command: String,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) at_ms: u64,
}

/// An attempt, as far as it is compared.
#[derive(Debug, Deserialize)]
struct Attempt {
    node: u32,
    item: u32,
    visit: u32,
    number: u32,
    outcome: String,
    decided_at_ms: u64,
    ended_at_ms: u64,
    execution: Option<String>,
    artifacts: Option<Vec<Artifact>>,
}

/// A step that ended without an attempt.
#[derive(Debug, Deserialize)]
struct Step {
    node: u32,
    state: String,
}

/// The run's own row.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    project: String,
    pipeline: String,
    state: String,
    plan: String,
    created_at_ms: u64,
    ended_at_ms: u64,
}

/// Reads the records; what cannot be read is a failure.
pub(super) fn read(
    directory: &Path,
    listing: &Listing,
    manifest: &Statement<RunEvidence>,
    finding: &mut Finding,
) -> Records {
    let said = &manifest.predicate;
    let mut records = Records { run: said.run.clone(), ..Records::default() };
    let rows: Vec<Row> = lines(directory, file::RUN, finding);
    match rows.as_slice() {
        [row] if row.is(said) => {}
        _ => finding.fail(CONTRADICTION, file::RUN, "it is not the run that the manifest names"),
    }
    records.plan = plan(directory, said.plan, finding);
    for command in lines::<Command>(directory, file::COMMANDS, finding) {
        let id = typed(&command.command, CommandId::from_uuid);
        records.commands.insert(id, command);
    }
    for path in listing.below(file::ATTEMPTS) {
        for attempt in lines::<Attempt>(directory, path, finding) {
            records.keep(attempt);
        }
    }
    for path in listing.below(file::STEPS) {
        for step in lines::<Step>(directory, path, finding) {
            if matches!(step.state.as_str(), "succeeded" | "cached") {
                records.note(step.node);
            }
        }
    }
    records
}

impl Row {
    fn is(&self, said: &RunEvidence) -> bool {
        let plan = self.plan.strip_prefix("\\x").unwrap_or_default();
        typed(&self.id, RunId::from_uuid) == said.run
            && self.project == said.project
            && self.pipeline == said.pipeline
            && self.state == said.state
            && plan == said.plan.to_hex()
            && self.created_at_ms == said.created_on.as_ms()
            && self.ended_at_ms == said.finished_on.as_ms()
    }
}

fn plan(directory: &Path, expected: Digest, finding: &mut Finding) -> Option<Plan> {
    let bytes = read_file(&directory.join(file::PLAN), RECORD_BYTES_MAX).unwrap_or_default();
    let plan = serde_json::from_slice::<Plan>(&bytes).ok();
    if Digest::of(&bytes) != expected || plan.is_none() {
        finding.fail(CONTRADICTION, file::PLAN, format!("it is not the plan {expected}"));
        return None;
    }
    plan
}

fn lines<T: DeserializeOwned>(directory: &Path, path: &str, finding: &mut Finding) -> Vec<T> {
    let bytes = read_file(&directory.join(path), RECORD_BYTES_MAX).unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    match lines.map(serde_json::from_slice).collect() {
        Ok(rows) => rows,
        Err(error) => {
            finding.fail(CONTRADICTION, path, format!("it cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// A row's id as messages and evidence write it; nothing where it is none.
fn typed<T: ToString>(text: &str, id: impl Fn(Uuid) -> T) -> String {
    Uuid::parse_str(text).map(|uuid| id(uuid).to_string()).unwrap_or_default()
}

impl Records {
    fn keep(&mut self, attempt: Attempt) {
        if attempt.outcome == "succeeded" {
            self.note(attempt.node);
            let step = [attempt.node, attempt.item, attempt.visit];
            self.attempts.insert((step, attempt.number), attempt);
        }
    }

    fn note(&mut self, node: u32) {
        let node = self.plan.as_ref().and_then(|plan| plan.nodes.get(node as usize));
        self.succeeded.extend(node.map(|node| node.id.clone()));
    }

    /// Holds each statement of this run against the attempt that it is about.
    pub(super) fn compare(&self, statements: &[Stated], finding: &mut Finding) {
        for stated in statements {
            let internal = &stated.provenance().build_definition.internal_parameters;
            if internal.run != self.run {
                continue;
            }
            let attempt = self.attempts.get(&(internal.step, internal.attempt));
            let Some(attempt) = attempt else {
                finding.fail(CONTRADICTION, &*stated.path, "no record tells of its attempt");
                continue;
            };
            if let Err(what) = attempt.is_told_by(stated) {
                finding.fail(CONTRADICTION, &*stated.path, what);
            }
            self.compare_plan(stated, finding);
        }
    }

    /// The plan says what the step was given.
    fn compare_plan(&self, stated: &Stated, finding: &mut Finding) {
        let definition = &stated.provenance().build_definition;
        let [node, ..] = definition.internal_parameters.step;
        let Some(plan) = &self.plan else { return };
        let workspace = plan.nodes.get(node as usize).map(|node| &node.workspace);
        let given = |name: &str| {
            let mut all = definition.resolved_dependencies.iter();
            all.find(|source| source.name == name).map(|source| &source.digest)
        };
        let holds = match workspace {
            None => false,
            Some(Workspace::Empty) => true,
            Some(Workspace::Tree { digest }) => {
                given("workspace").and_then(|digest| digest.as_sha256()) == Some(*digest)
            }
            Some(Workspace::Git { commit, .. }) => {
                given("source").and_then(|digest| digest.0.get("gitCommit")) == Some(commit)
            }
        };
        if !holds || definition.external_parameters.inputs != plan.inputs {
            finding.fail(CONTRADICTION, &*stated.path, "the plan gives its step something else");
        }
    }
}

impl Attempt {
    fn is_told_by(&self, stated: &Stated) -> Result<(), String> {
        let is_besides = |artifact: &&Artifact| BYPRODUCTS.contains(&artifact.role.as_str());
        let made = self.artifacts.iter().flatten().filter(|artifact| !is_besides(artifact));
        let made: BTreeSet<(&str, Digest)> =
            made.map(|artifact| (artifact.role.as_str(), artifact.digest)).collect();
        let told = stated.statement.subject.iter();
        let told: BTreeSet<(&str, Digest)> = told
            .filter_map(|subject| Some((subject.name.as_str(), subject.digest.as_sha256()?)))
            .collect();
        if made != told {
            return Err("its attempt's record names other artifacts".into());
        }
        let metadata = &stated.provenance().run_details.metadata;
        let execution = self.execution.as_deref().unwrap_or_default();
        let execution = typed(execution, ExecutionId::from_uuid);
        match metadata.started_on.as_ms() == self.decided_at_ms
            && metadata.finished_on.as_ms() == self.ended_at_ms
            && metadata.invocation_id.ends_with(&format!("/{execution}"))
        {
            true => Ok(()),
            false => Err("its attempt's record tells of another execution or time".into()),
        }
    }
}
