//! Runs the tests of a bundle: every rule `test_…` of its `*_test.rego` has to be true.
//!
//! Of one that is not, the line is told at which its evaluation ended; and of all together, which lines
//! of the policies no test came to.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use regorus::unstable::{Module, Ref, Rule};
use serde::Serialize;

use crate::bundle::Bundle;
use crate::engine::{EVALUATION_TIME_MAX, ask, with_tests};
use crate::fault::Fault;
use crate::walk;

const TEST: &str = "test_";

/// What became of the tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The tests, in the order of files and lines.
    pub tests: Vec<Trial>,
    /// Which lines of the policies were come to.
    pub coverage: Vec<Coverage>,
}

impl Report {
    /// How many tests failed.
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| test.failure.is_some()).count()
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The rule, as `data.maestro.routing_test.test_pii`.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Why it failed; nothing where it passed.
    pub failure: Option<Failure>,
}

/// Why a test failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The line at which it ended.
    pub line: u32,
    /// What stands there.
    pub text: String,
    /// What happened.
    pub what: String,
}

/// What of a file was come to by the tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The file.
    pub file: String,
    /// How many lines with conditions were come to.
    pub covered: usize,
    /// The lines that were not.
    pub missed: Vec<u32>,
}

/// Runs all tests of a bundle, or says what is wrong with it.
pub fn run(bundle: &Bundle) -> Result<Report, Vec<Fault>> {
    let mut engine = with_tests(bundle)?;
    let rules = rules(bundle, engine.get_modules());
    engine.set_enable_coverage(true);
    let mut lines = Lines::default();
    let mut tests = Vec::new();
    for (mut trial, last) in rules {
        engine.clear_coverage_data();
        let value = ask(&mut engine, &trial.name, EVALUATION_TIME_MAX);
        lines.note(&engine);
        let what = match value {
            Ok(Some(serde_json::Value::Bool(true))) => None,
            Ok(None) => Some("this is not true".to_owned()),
            Ok(Some(value)) => Some(format!("the test is {value}")),
            Err(what) => Some(what),
        };
        trial.failure = what.map(|what| failure(&trial, last, what, bundle, &engine));
        tests.push(trial);
    }
    Ok(Report { tests, coverage: lines.report(bundle) })
}

/// The tests, each with the last line of its text.
fn rules(bundle: &Bundle, modules: &[Ref<Module>]) -> Vec<(Trial, u32)> {
    let mut trials = Vec::new();
    for module in modules {
        let file = module.package.span.source.get_path();
        if !bundle.tests().any(|(test, _)| test == file) {
            continue;
        }
        let package = walk::package(module);
        for rule in &module.policy {
            let Some((name, false)) = walk::name(rule) else { continue };
            let known = |trial: &(Trial, u32)| trial.0.name == format!("data.{package}.{name}");
            if name.starts_with(TEST) && !trials.iter().any(known) {
                let (span, name) = (rule.span(), format!("data.{package}.{name}"));
                let trial = Trial { name, file: file.clone(), line: span.line, failure: None };
                trials.push((trial, last_line(rule)));
            }
        }
    }
    trials.sort_by(|one, other| (&one.0.file, one.0.line).cmp(&(&other.0.file, other.0.line)));
    trials
}

fn last_line(rule: &Rule) -> u32 {
    let span = rule.span();
    span.line + span.text().matches('\n').count() as u32
}

/// Statements are come to one after the other: the last one that was is the one that did not hold.
fn failure(trial: &Trial, last: u32, what: String, bundle: &Bundle, engine: &Engine) -> Failure {
    let files = engine.get_coverage_report().map(|report| report.files).unwrap_or_default();
    let line = files
        .iter()
        .filter(|file| file.path == trial.file)
        .flat_map(|file| &file.covered)
        .filter(|line| (trial.line..=last).contains(line))
        .max()
        .copied()
        .unwrap_or(trial.line);
    let text = bundle.text(&trial.file).unwrap_or_default();
    let text = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
    Failure { line, text: text.trim().to_owned(), what }
}

/// Which lines were come to, and which were not, by file.
#[derive(Default)]
struct Lines {
    files: BTreeMap<String, (BTreeSet<u32>, BTreeSet<u32>)>,
}

impl Lines {
    fn note(&mut self, engine: &Engine) {
        let files = engine.get_coverage_report().map(|report| report.files).unwrap_or_default();
        for file in files {
            let (covered, all) = self.files.entry(file.path).or_default();
            all.extend(file.covered.iter().chain(&file.not_covered));
            covered.extend(file.covered);
        }
    }

    fn report(&self, bundle: &Bundle) -> Vec<Coverage> {
        let of = |(name, _): (&str, &str)| {
            let (covered, all) = self.files.get(name).cloned().unwrap_or_default();
            let missed = all.difference(&covered).copied().collect();
            Coverage { file: name.to_owned(), covered: covered.len(), missed }
        };
        bundle.policies().map(of).collect()
    }
}
