//! Checks a value with places against a JSON Schema, and tells all that is wrong at once.
//!
//! It reads the part of JSON Schema (2020-12) that our own types and the actions' parameters are
//! written in: `$ref` within the document, `type enum const anyOf oneOf allOf properties required
//! additionalProperties items minimum maximum minLength maxLength minItems maxItems`. Keywords that
//! it does not know hold for any value. Schemas of actions come from workers and are hostile:
//! a check is bounded in depth and in work.

use serde_json::Value;

use super::diagnostic::{Code, DIAGNOSTICS_MAX, Fault, list};
use super::yaml::{Entry, Kind, Marked, Path};

/// The most schemas that one check looks at.
const WORK_MAX: usize = 1_000_000;

/// The deepest nesting of schemas.
const DEPTH_MAX: usize = 96;

/// Checks `value` against `schema`. With `templates`, a text with `{{ … }}` is of any type.
pub fn check(schema: &Value, value: &Marked, path: &Path, templates: bool) -> Vec<Fault> {
    let mut checker = Checker { root: schema, templates, faults: Vec::new(), work: 0, depth: 0 };
    checker.value(schema, value, path);
    checker.faults
}

struct Checker<'a> {
    root: &'a Value,
    templates: bool,
    faults: Vec<Fault>,
    work: usize,
    depth: usize,
}

impl<'a> Checker<'a> {
    fn value(&mut self, schema: &'a Value, value: &Marked, path: &Path) {
        self.work += 1;
        if self.depth > DEPTH_MAX || self.work > WORK_MAX || self.faults.len() > DIAGNOSTICS_MAX {
            return;
        }
        if self.templates && matches!(&value.kind, Kind::Text(text) if text.contains("{{")) {
            return;
        }
        self.depth += 1;
        self.keywords(schema, value, path);
        self.depth -= 1;
    }

    fn keywords(&mut self, schema: &'a Value, value: &Marked, path: &Path) {
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(target) =
            reference.and_then(|target| self.root.pointer(target.strip_prefix('#')?))
        {
            self.value(target, value, path);
        }
        for part in schemas(schema, "allOf") {
            self.value(part, value, path);
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches: Vec<&'a Value> = schemas(schema, keyword).collect();
            if !branches.is_empty() {
                self.branches(&branches, value, path);
            }
        }
        if schema == &Value::Bool(false) {
            self.faults.push(Fault::new(
                Code::UnknownKey,
                value.at,
                format!("{path} may not be there"),
            ));
        }
        if !self.kind(schema, value, path) {
            return;
        }
        self.words(schema, value, path);
        match &value.kind {
            Kind::Map(entries) => self.map(schema, value, entries, path),
            Kind::List(values) => self.list(schema, value, values, path),
            Kind::Number(_) | Kind::Text(_) => self.bounds(schema, value, path),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    fn kind(&mut self, schema: &'a Value, value: &Marked, path: &Path) -> bool {
        let types = types(schema);
        if types.is_empty() || types.iter().any(|name| is_of(name, &value.kind)) {
            return true;
        }
        let expected = describe(&types);
        self.faults.push(wrong_type(value, path, expected));
        false
    }

    fn words(&mut self, schema: &'a Value, value: &Marked, path: &Path) {
        let allowed: Vec<&Value> = match schema.get("enum").and_then(Value::as_array) {
            Some(words) => words.iter().collect(),
            None => schema.get("const").into_iter().collect(),
        };
        if !allowed.is_empty() && !allowed.contains(&&value.to_json()) {
            self.faults.push(not_a_word(value, path, &allowed));
        }
    }

    /// One of several: where none holds, the faults of the one that is nearest are told.
    fn branches(&mut self, branches: &[&'a Value], value: &Marked, path: &Path) {
        let constants: Vec<&Value> = branches
            .iter()
            .flat_map(|branch| branch.get("const").into_iter().chain(schemas(branch, "enum")))
            .collect();
        if constants.len() >= branches.len() && matches!(value.kind, Kind::Text(_)) {
            if !constants.contains(&&value.to_json()) {
                self.faults.push(not_a_word(value, path, &constants));
            }
            return;
        }
        let mut nearest: Option<(usize, Vec<Fault>)> = None;
        for branch in branches {
            let mut trial = Checker {
                root: self.root,
                templates: self.templates,
                faults: Vec::new(),
                work: self.work,
                depth: self.depth,
            };
            trial.value(branch, value, path);
            self.work = trial.work;
            if trial.faults.is_empty() {
                return;
            }
            let distance = self.distance(branch, value, trial.faults.len());
            if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
                nearest = Some((distance, trial.faults));
            }
        }
        match nearest {
            Some((distance, faults)) if distance < FAR => self.faults.extend(faults),
            _ => {
                let types: Vec<&str> =
                    branches.iter().flat_map(|branch| self.types(branch)).collect();
                let expected = describe(&types);
                self.faults.push(wrong_type(value, path, expected));
            }
        }
    }

    /// How far a value is from a branch that it does not fit: far where not even its type fits,
    /// near where its keys do.
    fn distance(&self, branch: &'a Value, value: &Marked, faults: usize) -> usize {
        let schema = self.target(branch);
        if !types(schema).is_empty() && !types(schema).iter().any(|name| is_of(name, &value.kind)) {
            return FAR;
        }
        let missing = required(schema).filter(|key| value.entry(key).is_none()).count();
        faults.min(FAR / 1000) + 100 * missing
    }

    fn target(&self, schema: &'a Value) -> &'a Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| self.root.pointer(target.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn types(&self, schema: &'a Value) -> Vec<&'a str> {
        types(self.target(schema))
    }

    fn map(&mut self, schema: &'a Value, value: &Marked, entries: &[Entry], path: &Path) {
        for key in required(schema).filter(|key| value.entry(key).is_none()) {
            self.faults.push(
                Fault::new(Code::MissingKey, value.at, format!("{path} has no {key:?}"))
                    .expected(format!("the key {key:?}")),
            );
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for entry in entries {
            let inner = path.join(&entry.key);
            match properties.and_then(|properties| properties.get(&entry.key)) {
                Some(property) => self.value(property, &entry.value, &inner),
                None => match schema.get("additionalProperties") {
                    Some(Value::Bool(false)) => self.unknown_key(entry, properties, path),
                    Some(other) => self.value(other, &entry.value, &inner),
                    None => {}
                },
            }
        }
    }

    fn unknown_key(
        &mut self,
        entry: &Entry,
        properties: Option<&serde_json::Map<String, Value>>,
        path: &Path,
    ) {
        let known = || properties.into_iter().flat_map(|known| known.keys().map(String::as_str));
        self.faults.push(
            Fault::new(Code::UnknownKey, entry.at, format!("{path} has no key {:?}", entry.key))
                .found(&entry.key)
                .expected(list(known(), "or"))
                .suggest(&entry.key, known()),
        );
    }

    fn list(&mut self, schema: &'a Value, value: &Marked, values: &[Marked], path: &Path) {
        if let Some(items) = schema.get("items") {
            for (index, item) in values.iter().enumerate() {
                self.value(items, item, &path.join(index));
            }
        }
        let limits = (limit(schema, "minItems"), limit(schema, "maxItems"));
        self.faults.extend(wrong_size(value, path, limits, (values.len(), "items")));
    }

    fn bounds(&mut self, schema: &'a Value, value: &Marked, path: &Path) {
        match &value.kind {
            Kind::Text(text) => {
                let limits = (limit(schema, "minLength"), limit(schema, "maxLength"));
                let size = (text.chars().count(), "characters");
                self.faults.extend(wrong_size(value, path, limits, size));
            }
            Kind::Number(number) => {
                let found = number.as_f64().unwrap_or_default();
                let low = limit(schema, "minimum");
                let high = limit(schema, "maximum").or_else(|| format_max(schema));
                if low.is_some_and(|low| found < low) || high.is_some_and(|high| found > high) {
                    self.faults.push(
                        Fault::new(
                            Code::InvalidValue,
                            value.at,
                            format!("{path} is out of bounds"),
                        )
                        .found(number.to_string())
                        .expected(between(low, high)),
                    );
                }
            }
            _ => {}
        }
    }
}

const FAR: usize = 1_000_000;

fn schemas<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schemas(schema, "required").filter_map(Value::as_str)
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_of(name: &str, kind: &Kind) -> bool {
    match (name, kind) {
        ("null", Kind::Null)
        | ("boolean", Kind::Bool(_))
        | ("number", Kind::Number(_))
        | ("string", Kind::Text(_))
        | ("array", Kind::List(_))
        | ("object", Kind::Map(_)) => true,
        ("integer", Kind::Number(number)) => {
            number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}

fn describe(types: &[&str]) -> String {
    let mut words: Vec<&str> = types
        .iter()
        .filter(|name| **name != "null" || types.len() == 1)
        .map(|name| match *name {
            "string" => "a text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "an object",
            _ => "nothing",
        })
        .collect();
    words.sort_unstable();
    words.dedup();
    list(words, "or")
}

/// What a value is, in words.
pub fn found(value: &Marked) -> String {
    match &value.kind {
        Kind::Null => "nothing".into(),
        Kind::Bool(value) => format!("{value}"),
        Kind::Number(number) => format!("the number {number}"),
        Kind::Text(text) => format!("the text {text:?}"),
        Kind::List(values) => format!("a list of {}", values.len()),
        Kind::Map(_) => "an object".into(),
    }
}

fn wrong_type(value: &Marked, path: &Path, expected: String) -> Fault {
    let fault = Fault::new(Code::WrongType, value.at, format!("{path} is of the wrong type"))
        .found(found(value));
    let fault = match &value.kind {
        Kind::Number(_) | Kind::Bool(_) if expected.contains("text") => {
            fault.hint("put it in quotes")
        }
        Kind::Text(_) if expected == "a list" => fault.hint("write it as a list: [ … ]"),
        _ => fault,
    };
    fault.expected(expected)
}

fn not_a_word(value: &Marked, path: &Path, allowed: &[&Value]) -> Fault {
    let words: Vec<String> = allowed
        .iter()
        .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
        .collect();
    let fault = Fault::new(
        Code::InvalidValue,
        value.at,
        format!("{path} has a value that it does not take"),
    )
    .found(found(value))
    .expected(list(words.iter().map(String::as_str), "or"));
    match &value.kind {
        Kind::Text(text) => fault.suggest(text, words.iter().map(String::as_str)),
        _ => fault,
    }
}

fn limit(schema: &Value, keyword: &str) -> Option<f64> {
    schema.get(keyword).and_then(Value::as_f64)
}

fn wrong_size(
    value: &Marked,
    path: &Path,
    (low, high): (Option<f64>, Option<f64>),
    (found, of): (usize, &str),
) -> Option<Fault> {
    let size = found as f64;
    let is_wrong = low.is_some_and(|low| size < low) || high.is_some_and(|high| size > high);
    is_wrong.then(|| {
        Fault::new(Code::InvalidValue, value.at, format!("{path} has a wrong number of {of}"))
            .found(format!("{found} {of}"))
            .expected(between(low, high))
    })
}

fn format_max(schema: &Value) -> Option<f64> {
    (schema.get("format").and_then(Value::as_str) == Some("uint32")).then_some(f64::from(u32::MAX))
}

fn between(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => "another value".into(),
    }
}
