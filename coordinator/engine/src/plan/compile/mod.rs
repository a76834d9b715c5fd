//! A pipeline compiled to a plan.
//!
//! | module | what it does |
//! |---|---|
//! | `inputs` | the values that were given, against the types that were declared |
//! | `uses` | another pipeline in a step's place |
//! | `gather` | stages, groups, `uses` and `finally` to steps with ids |
//! | `order` | names and order to edges, without circles |
//! | `reference` | what a name of the author's means |
//! | `resolve` | `{{ … }}`: what is known now is put in, what only a run knows is left |
//! | `half` | values that are known in part |
//! | `hash` | `PATH.hash` and `hash('glob')` to digests |
//! | `node`, `condition`, `policy`, `secret`, `artifact` | a gathered step to a node of the plan |
//! | `beside` | what stands beside a step's command |
//! | `assemble` | nodes in order, with edges and keys |
//! | `fan_out` | `for_each` and `matrix` to items |
//! | `split` | files shared out over copies of a step |
//! | `workspace` | the files that a step sees |
//! | `sandbox` | how a step is kept apart from its worker's host, and so its pool |
//! | `action` | the catalogue, and what is not in it |
//!
//! Equal requests give equal plans, byte for byte. All that is wrong is told at once.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::api::plans::Catalogue;
use maestro_schemas::api::tested::Durations;
use maestro_schemas::artifact::Tree;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{PLAN_VERSION, Plan, Stage, Unresolved};
use serde_json::Value;

use super::check::{self, BLOCKING_KINDS, CheckedPlan};
use super::sources::Sources;
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Fault, Source, read};

mod action;
mod artifact;
mod assemble;
mod beside;
mod condition;
mod fan_out;
mod gather;
mod half;
mod hash;
mod inputs;
mod node;
mod order;
mod policy;
mod reference;
mod resolve;
mod sandbox;
mod secret;
mod service;
mod split;
mod uses;
mod workspace;

/// What a plan is compiled from.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The pipeline's file, as it is named in what is said about it.
    pub file: &'a str,
    /// The pipeline's text.
    pub text: &'a str,
    /// Values for its inputs. A text is read as the input's type where that is another.
    pub inputs: &'a BTreeMap<String, Value>,
    /// What stands beside the text.
    pub sources: Sources<'a>,
    /// The actions that workers announced.
    pub catalogue: &'a Catalogue,
    /// How long tests took before.
    pub durations: &'a Durations,
}

/// Nothing is known of how long tests took.
pub static UNKNOWN_DURATIONS: Durations = Durations { steps: BTreeMap::new() };

/// A plan, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// The trees that its workspaces name; to be stored before the plan is submitted.
    pub trees: BTreeMap<Digest, Tree>,
    /// The pipeline's labels, for the submission.
    pub labels: BTreeMap<String, String>,
}

/// Compiles a pipeline, or tells all that is wrong with it.
pub fn compile(request: Request<'_>) -> Result<Compiled, Diagnostics> {
    let source = read(request.file, request.text)?;
    let mut report = Report::default();
    let root = source.pipeline.clone();
    let none = BTreeSet::new();
    let given = inputs::Given { values: request.inputs, later: &none, file: &source, at: None };
    let given = inputs::check(&source, &given, &mut report);
    let graph = gather::gather(source, request.sources, &mut report);
    let edges = order::edges(&graph, &mut report);
    let mut resolver = resolve::Resolver::new(&graph, request.sources, given);
    resolver.bind(&mut report);
    let outcome = node::nodes(&graph, edges, &resolver, request, &mut report);
    let outputs = resolver.outputs(&mut report);
    report.stop()?;
    let plan = Plan {
        version: PLAN_VERSION,
        name: root.name,
        pipeline_version: root.version,
        inputs: resolver.inputs(),
        facts: resolver.facts(&outcome.nodes),
        stages: graph.stages.iter().map(|name| Stage { name: name.clone() }).collect(),
        nodes: outcome.nodes,
        outputs,
        unresolved: outcome.unresolved,
        warnings: outcome.warnings,
    };
    check(&graph, &plan).map_err(|found| Diagnostics(vec![*found]))?;
    let labels =
        root.labels.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    Ok(Compiled { plan, trees: outcome.trees, labels })
}

/// Holds a plan to what the engine demands of any, so that what compiles also runs.
fn check(graph: &gather::Graph, plan: &Plan) -> Result<(), Box<Diagnostic>> {
    let blocked = |thing: &Unresolved| BLOCKING_KINDS.contains(&thing.kind.as_str());
    if plan.unresolved.iter().any(blocked) {
        return Ok(());
    }
    let Err(error) = CheckedPlan::check(plan.clone()) else { return Ok(()) };
    let named = match &error {
        check::Error::Step { step, .. } => graph.drafts.iter().find(|draft| draft.id == *step),
        _ => None,
    };
    let frame = graph.frames.get(named.map_or(0, |draft| draft.site.frame));
    let at = frame
        .zip(named)
        .map(|(frame, draft)| frame.source.at(&draft.site.path))
        .unwrap_or_default();
    let file = frame.map_or("", |frame| &frame.source.file);
    Err(Box::new(Fault::new(Code::GraphLimit, at, error.to_string()).in_file(file)))
}

/// Gathers what is wrong.
#[derive(Debug, Default)]
struct Report {
    found: Vec<Diagnostic>,
}

impl Report {
    fn add(&mut self, source: &Source, fault: Fault) {
        if !self.is_full() {
            self.found.push(fault.in_file(&source.file));
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    fn take<T>(&mut self, source: &Source, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.add(source, fault)).ok()
    }

    fn stop(&mut self) -> Result<(), Diagnostics> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut found = std::mem::take(&mut self.found);
        found.sort_by(|one, other| {
            (&one.file, one.line, one.column, one.code).cmp(&(
                &other.file,
                other.line,
                other.column,
                other.code,
            ))
        });
        found.dedup();
        Err(Diagnostics(found))
    }
}

/// The path of a value of a step.
fn under(path: &Path, words: &[&str]) -> Path {
    words.iter().fold(path.clone(), |path, word| path.join(word))
}
