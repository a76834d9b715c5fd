//! What somebody expects of evidence: who built it, from what, and what had to succeed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::Stated;
use super::records::Records;
use super::{Finding, UNEXPECTED};
use crate::statement::run::{RunEvidence, file};
use crate::statement::{Descriptor, Statement};

/// What must hold besides; what is absent is not asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The tenant.
    pub project: Option<String>,
    /// The pipeline's name.
    pub pipeline: Option<String>,
    /// How the run ended.
    pub state: Option<String>,
    /// The builders that may have made anything.
    pub builders: Option<BTreeSet<String>>,
    /// The branch that the sources are of.
    pub branch: Option<String>,
    /// The commit that the sources are of, 40 hexadecimal digits.
    pub commit: Option<String>,
    /// The sources' uri, as `git+https://example.org/app.git`.
    pub source: Option<String>,
    /// Whether the sources were as committed.
    pub clean: Option<bool>,
    /// Whether every step was hermetic, by its worker's word.
    pub hermetic: Option<bool>,
    /// All names that something may have been made from: `source`, `workspace`, roles of artifacts.
    pub materials: Option<BTreeSet<String>>,
    /// The run's inputs, all of them.
    pub inputs: Option<BTreeMap<String, Value>>,
    /// Steps that succeeded.
    #[serde(default)]
    pub steps: BTreeSet<String>,
    /// Environments that the artifact may go to; where none is asked about, some artifact.
    #[serde(default)]
    pub promoted: BTreeSet<String>,
}

impl Expectation {
    /// What is expected of a run.
    pub(super) fn of_run(
        &self,
        manifest: &Statement<RunEvidence>,
        records: &Records,
        finding: &mut Finding,
    ) {
        let said = &manifest.predicate;
        for (what, found, expected) in [
            ("project", &said.project, &self.project),
            ("pipeline", &said.pipeline, &self.pipeline),
            ("state", &said.state, &self.state),
        ] {
            if let Some(expected) = expected.as_ref().filter(|expected| *expected != found) {
                let what = format!("its {what} is {found:?}; expected {expected:?}");
                finding.fail(UNEXPECTED, file::MANIFEST, what);
            }
        }
        for step in self.steps.difference(&records.succeeded) {
            finding.fail(UNEXPECTED, file::MANIFEST, format!("step {step:?} has not succeeded"));
        }
    }

    /// What is expected of a run, by nothing but a statement about what it made.
    pub(super) fn of_run_by(&self, stated: &Stated, finding: &mut Finding) {
        let definition = &stated.provenance().build_definition;
        for (what, found, expected) in [
            ("project", &definition.internal_parameters.project, &self.project),
            ("pipeline", &definition.external_parameters.pipeline, &self.pipeline),
        ] {
            if let Some(expected) = expected.as_ref().filter(|expected| *expected != found) {
                let what = format!("its {what} is {found:?}; expected {expected:?}");
                finding.fail(UNEXPECTED, stated.path.clone(), what);
            }
        }
        let asked = [("state", self.state.is_some()), ("steps", !self.steps.is_empty())];
        for (what, _) in asked.into_iter().filter(|(_, is_asked)| *is_asked) {
            let what = format!("`{what}` is told by the evidence of a run only");
            finding.fail(UNEXPECTED, stated.path.clone(), what);
        }
    }

    /// What is expected of statements, and of where artifacts may go.
    pub(super) fn of_statements(&self, statements: &[&Stated], finding: &mut Finding) {
        let promoted = finding.promotions.iter().map(|one| one.environment.clone()).collect();
        for environment in self.promoted.difference(&promoted) {
            let what = format!("nothing that is asked about may go to {environment:?}");
            finding.fail(UNEXPECTED, file::PROMOTIONS, what);
        }
        for stated in statements {
            for what in self.broken_by(stated) {
                finding.fail(UNEXPECTED, stated.path.clone(), what);
            }
        }
        if self.wants_source() && !statements.iter().any(|stated| source(stated).is_some()) {
            finding.fail(UNEXPECTED, file::STATEMENTS, "no statement names a source");
        }
    }

    fn wants_source(&self) -> bool {
        self.branch.is_some()
            || self.commit.is_some()
            || self.source.is_some()
            || self.clean.is_some()
    }

    fn broken_by(&self, stated: &Stated) -> Vec<String> {
        let provenance = stated.provenance();
        let builder = &provenance.run_details.builder.id;
        let mut broken = Vec::new();
        let definition = &provenance.build_definition;
        if self.builders.as_ref().is_some_and(|builders| !builders.contains(builder)) {
            broken.push(format!("its builder is {builder:?}, which is none of the expected"));
        }
        let sandbox = definition.internal_parameters.sandbox.as_ref();
        let hermetic = sandbox.and_then(|sandbox| sandbox.get("hermetic")?.as_bool());
        if self.hermetic.is_some_and(|expected| expected != hermetic.unwrap_or(false)) {
            broken.push("whether it was hermetic is not as expected".into());
        }
        let inputs = &definition.external_parameters.inputs;
        if self.inputs.as_ref().is_some_and(|expected| expected != inputs) {
            broken.push("the run's inputs are others than expected".into());
        }
        for material in &definition.resolved_dependencies {
            let strange = |expected: &BTreeSet<String>| !expected.contains(&material.name);
            if self.materials.as_ref().is_some_and(strange) {
                broken.push(format!("it was made from {:?}, which is not expected", material.name));
            }
        }
        broken.extend(source(stated).into_iter().flat_map(|source| self.strange(source)));
        broken
    }

    fn strange(&self, source: &Descriptor) -> Vec<String> {
        let text = |name: &str| source.annotations.get(name).and_then(Value::as_str);
        let dirty = source.annotations.get("dirty").and_then(Value::as_bool);
        let commit = source.digest.0.get("gitCommit").map(String::as_str);
        let mut strange = Vec::new();
        for (what, found, expected) in [
            ("branch", text("branch"), &self.branch),
            ("commit", commit, &self.commit),
            ("uri", Some(source.uri.as_str()), &self.source),
        ] {
            if let Some(expected) = expected.as_deref().filter(|expected| found != Some(*expected))
            {
                let found = found.unwrap_or_default();
                strange.push(format!("its source's {what} is {found:?}; expected {expected:?}"));
            }
        }
        if self.clean.is_some_and(|clean| dirty.is_some_and(|dirty| dirty == clean)) {
            strange.push("its source was not as committed, or was where it should not be".into());
        }
        strange
    }
}

fn source(stated: &Stated) -> Option<&Descriptor> {
    let mut all = stated.provenance().build_definition.resolved_dependencies.iter();
    all.find(|source| source.name == "source")
}
