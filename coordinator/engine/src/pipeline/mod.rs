//! `maestro.yaml`: read with positions and checked against [`maestro_schemas::pipeline`].
//!
//! | module | what it does |
//! |---|---|
//! | [`yaml`] | text to a tree that knows where each thing stood |
//! | [`schema`] | checks such a tree against a JSON Schema |
//! | [`diagnostic`] | what is wrong, where, and what to do |
//! | here | text to a typed pipeline |
//!
//! [`crate::plan::compile`] makes a plan of it.

use std::sync::OnceLock;

use maestro_schemas::pipeline::Pipeline;
use serde_json::Value;

pub mod diagnostic;
pub mod schema;
pub mod yaml;

pub use diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Fault, Position};

use yaml::{Kind, Marked, Path};

/// A pipeline and where each part of it stands in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file, as it was named to the reader.
    pub file: String,
    /// The file's values with their places.
    pub tree: Marked,
    /// The same, typed.
    pub pipeline: Pipeline,
}

impl Source {
    /// Where the value at `path` stands.
    pub fn at(&self, path: &Path) -> Position {
        self.tree.find(path).at
    }
}

/// The JSON Schema of `maestro.yaml`, made from the types.
pub fn json_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| schemars::schema_for!(Pipeline).to_value())
}

/// Reads a pipeline. `file` only names it in what is said about it.
pub fn read(file: &str, text: &str) -> Result<Source, Diagnostics> {
    let tree = yaml::parse(text).map_err(|faults| in_file(file, faults))?;
    let mut faults = schema::check(json_schema(), &tree, &Path::default(), false);
    choices(&tree, &mut faults);
    if !faults.is_empty() {
        return Err(in_file(file, faults));
    }
    match serde_json::from_value(tree.to_json()) {
        Ok(pipeline) => Ok(Source { file: file.to_owned(), tree, pipeline }),
        Err(error) => Err(in_file(
            file,
            vec![
                Fault::new(Code::WrongType, tree.at, "the pipeline cannot be read")
                    .found(error.to_string()),
            ],
        )),
    }
}

fn in_file(file: &str, mut faults: Vec<Fault>) -> Diagnostics {
    faults.sort_by_key(|fault| (fault.at, fault.code));
    faults.truncate(DIAGNOSTICS_MAX);
    Diagnostics(faults.into_iter().map(|fault| fault.in_file(file)).collect())
}

/// Refuses stages and steps that have both or neither of two keys.
fn choices(tree: &Marked, faults: &mut Vec<Fault>) {
    let list = |value: &Marked, key: &str| match value.entry(key).map(|entry| &entry.value.kind) {
        Some(Kind::List(values)) => values.clone(),
        _ => Vec::new(),
    };
    for stage in list(tree, "stages") {
        one_of(&stage, "stage", ("steps", "parallel"), faults);
        for element in list(&stage, "steps").into_iter().chain(list(&stage, "parallel")) {
            match element.entry("parallel") {
                Some(_) => list(&element, "parallel")
                    .iter()
                    .for_each(|step| one_of(step, "step", ("run", "uses"), faults)),
                None => one_of(&element, "step", ("run", "uses"), faults),
            }
        }
    }
    for step in list(tree, "finally") {
        one_of(&step, "step", ("run", "uses"), faults);
    }
}

fn one_of(value: &Marked, what: &str, keys: (&str, &str), faults: &mut Vec<Fault>) {
    if !matches!(value.kind, Kind::Map(_)) {
        return;
    }
    let (first, second) = (value.entry(keys.0), value.entry(keys.1));
    let fault = match (first, second) {
        (Some(_), Some(second)) => Fault::new(
            Code::Choice,
            second.at,
            format!("the {what} has both {:?} and {:?}", keys.0, keys.1),
        ),
        (None, None) => Fault::new(
            Code::Choice,
            value.at,
            format!("the {what} has neither {:?} nor {:?}", keys.0, keys.1),
        ),
        _ => return,
    };
    faults.push(fault.expected(format!("exactly one of {:?} and {:?}", keys.0, keys.1)));
}
