//! `{{ … }}` when planning: what is known now is put in, what only a run knows is left to it.
//!
//! An expression is first rewritten, textually and by its names alone: `PATH.hash` and
//! `hash('glob')` to the digests that they mean, `steps.NAME` to `steps['id in the plan']`, the
//! inputs of a used pipeline to what they were given. If then only `inputs` and `git` are read it
//! is evaluated; else it stays, and the steps that it reads are noted.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::plan::{Node, Unresolved, Workspace};
use minijinja::Value as Known;
use serde_json::Value;

use super::gather::{Frame, Graph, Target};
use super::half::{Half, literal};
use super::hash::Hashes;
use super::{Report, inputs, reference};
use crate::expression::name::{Name, names};
use crate::expression::program::{self, Program};
use crate::expression::template::{self, Piece};
use crate::pipeline::diagnostic::{list, nearest};
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, Fault, Position};
use crate::plan::sources::{Git, Sources};

/// Where an expression stands.
#[derive(Clone, Copy)]
pub struct Spot<'a> {
    /// The pipeline.
    pub frame: usize,
    /// The stage; empty outside of stages.
    pub stage: &'a str,
    /// Where in its file.
    pub at: Position,
    /// The step's id in the plan, for what cannot be resolved.
    pub step: &'a str,
    /// Whether `item`, `index` and `matrix` mean something.
    pub items: bool,
}

/// An input of a pipeline that is used.
#[derive(Debug, Clone, PartialEq)]
enum Binding {
    Value(Value),
    /// An expression of the plan, whose value only a run knows.
    Later(String),
}

/// What became of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its value.
    Known(Value),
    /// An expression of the plan.
    Later(String),
    /// It needs something that is not there; said in the plan, and left as it was written.
    Missing,
}

/// Resolves what stands in `{{ … }}`.
pub struct Resolver<'a> {
    graph: &'a Graph,
    sources: Sources<'a>,
    bindings: Vec<BTreeMap<String, Binding>>,
    /// What the step at hand reads; taken by whoever asked.
    reads: RefCell<BTreeSet<usize>>,
    unresolved: RefCell<Vec<Unresolved>>,
    reads_git: RefCell<bool>,
}

impl<'a> Resolver<'a> {
    /// A resolver for a graph whose first pipeline was given these inputs.
    pub fn new(graph: &'a Graph, sources: Sources<'a>, given: BTreeMap<String, Value>) -> Self {
        let root = given.into_iter().map(|(name, value)| (name, Binding::Value(value))).collect();
        Self {
            graph,
            sources,
            bindings: vec![root],
            reads: RefCell::default(),
            unresolved: RefCell::default(),
            reads_git: RefCell::default(),
        }
    }

    /// Works out the inputs of every pipeline that is used, each after those that use it.
    pub(super) fn bind(&mut self, report: &mut Report) {
        for frame in self.graph.frames.iter().skip(1) {
            let bound = self.call(frame, report);
            self.bindings.push(bound);
        }
        self.take_reads();
    }

    fn call(&self, frame: &Frame, report: &mut Report) -> BTreeMap<String, Binding> {
        let (Some(call), Some(caller)) = (
            &frame.call,
            frame.call.as_ref().and_then(|call| self.graph.frames.get(call.site.frame)),
        ) else {
            return BTreeMap::new();
        };
        let path = call.site.path.join("with");
        let mut given = BTreeMap::new();
        let mut later = BTreeMap::new();
        for (name, value) in &call.site.step.with {
            let at = caller.source.at(&path.join(name));
            let spot = Spot {
                frame: call.site.frame,
                stage: &call.site.stage,
                at,
                step: &call.id,
                items: false,
            };
            match report.take(&caller.source, self.value(spot, value)) {
                Some(half) if half.is_later() => {
                    later.insert(name.clone(), Binding::Later(half.expression()));
                }
                Some(half) => {
                    given.insert(name.clone(), half.render(false));
                }
                None => {}
            }
        }
        let names: BTreeSet<String> = later.keys().cloned().collect();
        let at = Some(caller.source.at(&path));
        let given = inputs::Given { values: &given, later: &names, file: &caller.source, at };
        let checked = inputs::check(&frame.source, &given, report);
        let mut bound: BTreeMap<String, Binding> =
            checked.into_iter().map(|(name, value)| (name, Binding::Value(value))).collect();
        bound.extend(later);
        bound
    }

    /// The first pipeline's inputs with their values.
    pub fn inputs(&self) -> BTreeMap<String, Value> {
        let value = |(name, binding): (&String, &Binding)| match binding {
            Binding::Value(value) => Some((name.clone(), value.clone())),
            Binding::Later(_) => None,
        };
        self.bindings.first().into_iter().flatten().filter_map(value).collect()
    }

    /// The facts that the plan's expressions read, and where the files of its workspaces are from.
    pub fn facts(&self, nodes: &[Node]) -> BTreeMap<String, Value> {
        let has_files = |node: &Node| matches!(node.workspace, Workspace::Tree { .. });
        match self.sources.git {
            Some(git) if *self.reads_git.borrow() || nodes.iter().any(has_files) => {
                BTreeMap::from([("git".into(), serde_json::to_value(git).unwrap_or_default())])
            }
            _ => BTreeMap::new(),
        }
    }

    /// The first pipeline's outputs.
    pub(super) fn outputs(&self, report: &mut Report) -> BTreeMap<String, Value> {
        let Some(root) = self.graph.frames.first() else { return BTreeMap::new() };
        let path = Path::default().join("outputs");
        let halves: Vec<(String, Half)> = root
            .source
            .pipeline
            .outputs
            .iter()
            .filter_map(|(name, value)| {
                let at = root.source.at(&path.join(name));
                let spot = Spot { frame: 0, stage: "", at, step: "", items: false };
                Some((name.clone(), report.take(&root.source, self.value(spot, value))?))
            })
            .collect();
        halves.into_iter().map(|(name, half)| (name, half.render(true))).collect()
    }

    /// The steps that were read since this was last asked.
    pub fn take_reads(&self) -> BTreeSet<usize> {
        self.reads.take()
    }

    /// What could not be resolved since this was last asked.
    pub fn take_unresolved(&self) -> Vec<Unresolved> {
        self.unresolved.take()
    }

    /// Resolves every text of a value.
    pub fn value(&self, spot: Spot<'_>, value: &Value) -> Result<Half, Fault> {
        match value {
            Value::String(text) => self.text(spot, text),
            Value::Array(values) => {
                let halves = values
                    .iter()
                    .map(|value| self.value(spot, value))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Half::List(halves).whole())
            }
            Value::Object(fields) => {
                let field =
                    |(name, value): (&String, &Value)| Ok((name.clone(), self.value(spot, value)?));
                Ok(Half::Map(fields.iter().map(field).collect::<Result<_, Fault>>()?).whole())
            }
            other => Ok(Half::Known(other.clone())),
        }
    }

    /// Resolves a text. One that is a single expression keeps the type of its value.
    pub fn text(&self, spot: Spot<'_>, text: &str) -> Result<Half, Fault> {
        if !template::is_template(text) {
            return Ok(Half::Known(Value::String(text.into())));
        }
        let pieces = template::pieces(text).map_err(|error| {
            Fault::new(Code::ExpressionSyntax, spot.at, error.to_string())
                .found(text)
                .hint("a {{ that stands for itself is written {{ '{{' }}")
        })?;
        if let [Piece::Expression(expression)] = pieces.as_slice() {
            return Ok(match self.expression(spot, expression)? {
                Outcome::Known(value) => Half::Known(value),
                Outcome::Later(expression) => Half::Text(vec![Piece::Expression(expression)]),
                Outcome::Missing => Half::Known(Value::String(text.into())),
            });
        }
        self.joined(spot, text, pieces)
    }

    fn joined(&self, spot: Spot<'_>, text: &str, pieces: Vec<Piece>) -> Result<Half, Fault> {
        let mut joined: Vec<Piece> = Vec::new();
        let mut is_missing = false;
        for piece in pieces {
            let next = match piece {
                Piece::Literal(literal) => Piece::Literal(literal),
                Piece::Expression(expression) => match self.expression(spot, &expression)? {
                    Outcome::Known(value) => Piece::Literal(plain(&value)),
                    Outcome::Later(expression) => Piece::Expression(expression),
                    Outcome::Missing => {
                        is_missing = true;
                        continue;
                    }
                },
            };
            match (joined.last_mut(), next) {
                (Some(Piece::Literal(before)), Piece::Literal(next)) => before.push_str(&next),
                (_, next) => joined.push(next),
            }
        }
        Ok(match joined.as_slice() {
            _ if is_missing => Half::Known(Value::String(text.into())),
            [] => Half::Known(Value::String(String::new())),
            [Piece::Literal(literal)] => Half::Known(Value::String(literal.clone())),
            _ => Half::Text(joined),
        })
    }

    /// Resolves an expression as far as it can be.
    pub fn expression(&self, spot: Spot<'_>, expression: &str) -> Result<Outcome, Fault> {
        let mut missing = Vec::new();
        let directory = self.graph.frames.get(spot.frame).map_or("", |frame| &frame.directory);
        let text =
            Hashes { sources: self.sources, directory }.put(spot, expression, &mut missing)?;
        let mut is_later = false;
        let mut rewritten = text.clone();
        for name in names(&text).iter().rev() {
            is_later |= self.name(spot, name, &mut rewritten, &mut missing)?;
        }
        if rewritten.len() > template::EXPRESSION_BYTES_MAX {
            let error = template::Error::TooLong { found: rewritten.len() };
            return Err(
                Fault::new(Code::ExpressionSyntax, spot.at, error.to_string()).found(expression)
            );
        }
        let program =
            Program::compile(&rewritten).map_err(|error| wrong(spot, expression, &error))?;
        if !missing.is_empty() {
            self.unresolved.borrow_mut().extend(missing);
            return Ok(Outcome::Missing);
        }
        if is_later {
            *self.reads_git.borrow_mut() |= names(&rewritten).iter().any(|name| name.root == "git");
            return Ok(Outcome::Later(rewritten));
        }
        let value = program
            .evaluate(&rewritten, self.context(spot.frame))
            .and_then(|value| program::json(&rewritten, &value))
            .map_err(|error| wrong(spot, expression, &error))?;
        Ok(Outcome::Known(value))
    }

    fn context(&self, frame: usize) -> Known {
        let inputs: BTreeMap<&str, &Value> = self
            .bindings
            .get(frame)
            .into_iter()
            .flatten()
            .filter_map(|(name, binding)| match binding {
                Binding::Value(value) => Some((name.as_str(), value)),
                Binding::Later(_) => None,
            })
            .collect();
        let git = self.sources.git.map_or(Known::UNDEFINED, program::value);
        Known::from_pairs([("inputs", program::value(&inputs)), ("git", git)])
    }

    /// Checks one name and rewrites it in `text`, of which only what stands behind it was
    /// rewritten before. Answers whether only a run knows what it means.
    fn name(
        &self,
        spot: Spot<'_>,
        name: &Name,
        text: &mut String,
        missing: &mut Vec<Unresolved>,
    ) -> Result<bool, Fault> {
        match name.root.as_str() {
            "git" => self.git(spot, name, missing),
            "inputs" => self.input(spot, name, text),
            "steps" => self.step(spot, name, text),
            "run" | "project" => Ok(true),
            "item" | "index" | "matrix" if spot.items => Ok(true),
            "item" | "index" | "matrix" => Err(Fault::new(
                Code::UnknownName,
                spot.at,
                format!("{:?} means nothing here", name.root),
            )
            .found(&name.root)
            .hint("only a step with for_each or matrix has items")),
            "success" | "failure" | "always" | "cancelled" if name.called => Ok(true),
            "range" | "combinations" if name.called => Ok(false),
            other => Err(unknown(spot, other)),
        }
    }

    fn git(
        &self,
        spot: Spot<'_>,
        name: &Name,
        missing: &mut Vec<Unresolved>,
    ) -> Result<bool, Fault> {
        let field = name.segment(0).unwrap_or("sha");
        if !Git::FIELDS.contains(&field) {
            return Err(Fault::new(Code::UnknownName, spot.at, format!("git has no {field:?}"))
                .found(format!("git.{field}"))
                .expected(list(Git::FIELDS, "or"))
                .suggest(field, Git::FIELDS));
        }
        if self.sources.git.is_none() {
            missing.push(unresolved(spot, "git", &format!("git.{field}")));
        }
        Ok(false)
    }

    fn input(&self, spot: Spot<'_>, name: &Name, text: &mut String) -> Result<bool, Fault> {
        let bound = self.bindings.get(spot.frame).ok_or_else(|| unknown(spot, "inputs"))?;
        let Some(word) = name.segment(0) else {
            let is_later = bound.values().any(|binding| matches!(binding, Binding::Later(_)));
            return if is_later || spot.frame > 0 {
                Err(Fault::new(
                    Code::UnknownName,
                    spot.at,
                    "inputs stands without the name of an input",
                )
                .hint("write inputs.NAME"))
            } else {
                Ok(false)
            };
        };
        match bound.get(word) {
            None => Err(Fault::new(
                Code::UnknownName,
                spot.at,
                format!("the pipeline has no input {word:?}"),
            )
            .found(format!("inputs.{word}"))
            .expected(list(bound.keys().map(String::as_str), "or"))
            .suggest(word, bound.keys().map(String::as_str))),
            Some(Binding::Later(expression)) => {
                text.replace_range(name.span.start..name.end(1), &format!("({expression})"));
                self.note(expression);
                Ok(true)
            }
            Some(Binding::Value(value)) => {
                if spot.frame > 0 {
                    text.replace_range(
                        name.span.start..name.end(1),
                        &format!("({})", literal(value)),
                    );
                }
                Ok(false)
            }
        }
    }

    fn step(&self, spot: Spot<'_>, name: &Name, text: &mut String) -> Result<bool, Fault> {
        let (Some(frame), Some(word)) = (self.graph.frames.get(spot.frame), name.segment(0)) else {
            return Err(Fault::new(Code::UnknownName, spot.at, "steps stands without the name of a step")
                .hint("write steps.NAME.outputs.VALUE, or steps['stage/name'] for a name with other signs"));
        };
        match reference::step(frame, spot.stage, word, spot.at)? {
            Target::Step(step) => {
                if !matches!(name.segment(1), Some("outputs" | "state")) {
                    return Err(Fault::new(
                        Code::UnknownName,
                        spot.at,
                        format!("a step has no {:?}", name.segment(1).unwrap_or_default()),
                    )
                    .found(format!("steps.{word}.{}", name.segment(1).unwrap_or_default()))
                    .expected("outputs or state")
                    .suggest(name.segment(1).unwrap_or_default(), ["outputs", "state"]));
                }
                let id =
                    self.graph.drafts.get(step).map(|draft| draft.id.clone()).unwrap_or_default();
                text.replace_range(
                    name.span.start..name.end(1),
                    &format!("steps[{}]", Value::String(id)),
                );
                self.reads.borrow_mut().insert(step);
            }
            Target::Frame(used) => {
                let expression = self.used_output(spot, name, used)?;
                text.replace_range(name.span.start..name.end(3), &expression);
            }
        }
        Ok(true)
    }

    /// `steps.NAME.outputs.VALUE` of a step that stands for a pipeline: that pipeline's output.
    fn used_output(&self, spot: Spot<'_>, name: &Name, used: usize) -> Result<String, Fault> {
        let outputs = self.graph.frames.get(used).map(|frame| &frame.source.pipeline.outputs);
        let found = outputs.zip(name.segment(2)).and_then(|(outputs, word)| outputs.get(word));
        let (Some("outputs"), Some(value)) = (name.segment(1), found) else {
            let known =
                || outputs.into_iter().flat_map(|outputs| outputs.keys().map(String::as_str));
            return Err(Fault::new(
                Code::UnknownName,
                spot.at,
                "the pipeline that this step uses has no such output",
            )
            .found(name.segment(2).unwrap_or_default())
            .expected(format!("outputs. and {}", list(known(), "or"))));
        };
        let inner = Spot { frame: used, stage: "", ..spot };
        Ok(self.value(inner, value)?.expression())
    }

    /// Notes what an expression of the plan reads.
    fn note(&self, expression: &str) {
        for name in names(expression).iter().filter(|name| name.root == "steps") {
            let step = self
                .graph
                .drafts
                .iter()
                .position(|draft| Some(draft.id.as_str()) == name.segment(0));
            self.reads.borrow_mut().extend(step);
        }
    }
}

/// The names that begin what expressions read.
pub const ROOTS: [&str; 8] =
    ["inputs", "git", "steps", "item", "index", "matrix", "run", "project"];

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Something that cannot be resolved.
pub fn unresolved(spot: Spot<'_>, kind: &str, name: &str) -> Unresolved {
    Unresolved { step: spot.step.to_owned(), kind: kind.into(), name: name.into() }
}

fn wrong(spot: Spot<'_>, expression: &str, error: &program::Error) -> Fault {
    let (code, detail) = match error {
        program::Error::Syntax { detail, .. } => (Code::ExpressionSyntax, detail.clone()),
        program::Error::Forbidden { what, .. } => {
            (Code::ExpressionSyntax, format!("expressions do not have {what}"))
        }
        program::Error::Failed { detail, .. } => (Code::ExpressionFailed, detail.clone()),
    };
    let message = match code {
        Code::ExpressionFailed => "the expression has no value",
        _ => "the expression does not parse",
    };
    Fault::new(code, spot.at, format!("{message}: {detail}")).found(expression)
}

fn unknown(spot: Spot<'_>, word: &str) -> Fault {
    let known = ROOTS.into_iter().chain(program::FUNCTIONS);
    let fault = Fault::new(
        Code::UnknownName,
        spot.at,
        format!("the expression names {word:?}, which means nothing"),
    )
    .found(word)
    .expected(list(ROOTS, "or"));
    match nearest(word, known) {
        Some(near) => fault.hint(format!("did you mean {near:?}?")),
        None => fault.hint("a text within an expression stands in quotes"),
    }
}
