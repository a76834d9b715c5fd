//! Checks a bundle without asking it anything: functions, recursion, depth, and the fields of inputs.
//!
//! The interpreter finds out much of this only when it comes to the place, and then the answer is a
//! denial. Here the author is told before.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::verdict::Hook;
use regorus::unstable::{BUILTINS, Expr, Module, Ref, Span};
use serde_json::Value;

use crate::fault::{self, Fault};
use crate::input;
use crate::walk::{self, Node};

/// Expressions lie no deeper in each other: the interpreter's stack grows with them.
pub const DEPTH_MAX: usize = 100;

/// Functions of OPA that are not there, by how their names begin, and why not.
const OUTSIDE: [(&str, &str); 9] = [
    ("http.", "a policy sees no network"),
    ("net.", "a policy sees no network"),
    ("time.", "a policy sees no clock"),
    ("rand.", "a policy sees no chance"),
    ("uuid.", "a policy sees no chance"),
    ("opa.", "a policy sees nothing of the process"),
    ("numbers.range", "its result may be longer than memory"),
    ("trace", "nobody reads what it writes"),
    ("crypto.", "policies hold no keys"),
];

/// Finds what is wrong with modules that were parsed; `tests` tells which are tests.
pub(crate) fn modules(modules: &[Ref<Module>], tests: &dyn Fn(&str) -> bool) -> Vec<Fault> {
    let functions = functions(modules);
    let mut faults = Vec::new();
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules {
        let scope = Scope::of(module, &functions);
        let hook = Hook::ALL.into_iter().find(|hook| hook.package() == scope.package);
        let schema = hook.filter(|_| !tests(module.package.span.source.get_path()));
        let schema = schema.map(|hook| (hook, input::schema(hook)));
        for rule in &module.policy {
            let own = walk::name(rule).map(|(name, _)| scope.full(&name));
            let depth = walk::rule(rule, &mut |node| {
                let Node::Expr(expr) = node else { return };
                match scope.called(expr) {
                    Some(Ok(function)) => {
                        calls.entry(own.clone().unwrap_or_default()).or_default().insert(function);
                    }
                    Some(Err(fault)) => faults.push(fault),
                    None => {}
                }
                faults
                    .extend(schema.as_ref().and_then(|(hook, schema)| field(*hook, schema, expr)));
            });
            if depth > DEPTH_MAX {
                let what = format!("its expressions lie {depth} deep in each other");
                let expected = format!("at most {DEPTH_MAX}");
                faults.push(at(fault::MEANING, rule.span(), what).expected(expected));
            }
        }
    }
    faults.extend(recursions(modules, &functions, &calls));
    faults
}

fn at(code: &'static str, span: &Span, what: impl Into<String>) -> Fault {
    let source = &span.source;
    Fault::at(code, source.get_path(), (span.line, span.col), what).found_in(source.get_contents())
}

/// All functions that the modules define, as `data.lib.f`.
fn functions(modules: &[Ref<Module>]) -> BTreeSet<String> {
    let of = |module: &Ref<Module>| {
        let package = walk::package(module);
        let functions =
            module.policy.iter().filter_map(|rule| walk::name(rule)).filter(|name| name.1);
        functions.map(|(name, _)| format!("data.{package}.{name}")).collect::<Vec<_>>()
    };
    modules.iter().flat_map(of).collect()
}

/// What names mean in a module.
struct Scope<'a> {
    package: String,
    imports: BTreeMap<&'a str, String>,
    functions: &'a BTreeSet<String>,
}

impl<'a> Scope<'a> {
    fn of(module: &'a Module, functions: &'a BTreeSet<String>) -> Self {
        let imports = module.imports.iter().filter_map(walk::import).collect();
        Self { package: walk::package(module), imports, functions }
    }

    fn full(&self, name: &str) -> String {
        format!("data.{}.{name}", self.package)
    }

    /// The function of ours that an expression calls, or why it can call none.
    fn called(&self, expr: &Expr) -> Option<Result<String, Fault>> {
        let Expr::Call { fcn, .. } = expr else { return None };
        let (names, _) = walk::path(fcn)?;
        let written = names.join(".");
        let (first, rest) = written.split_once('.').unwrap_or((written.as_str(), ""));
        let imported = self
            .imports
            .get(first)
            .map(|path| if rest.is_empty() { path.clone() } else { format!("{path}.{rest}") });
        let candidates = [imported, Some(written.clone()), Some(self.full(&written))];
        if let Some(ours) =
            candidates.into_iter().flatten().find(|name| self.functions.contains(name))
        {
            return Some(Ok(ours));
        }
        let outside = OUTSIDE.iter().find(|(start, _)| written.starts_with(start));
        if let Some((_, why)) = outside {
            let what = format!("there is no function {written}: {why}");
            let hint = "what a policy has to know stands in its input or in data.json";
            return Some(Err(at(fault::FUNCTION, walk::root(fcn), what).hint(hint)));
        }
        if written == "print" || BUILTINS.contains_key(written.as_str()) {
            return None;
        }
        let fault = at(fault::FUNCTION, walk::root(fcn), format!("there is no function {written}"));
        Some(Err(match near(&written, BUILTINS.keys().copied()) {
            Some(near) => fault.hint(format!("did you mean {near}?")),
            None => fault.expected("a function of this bundle, or one of docs/policies.md"),
        }))
    }
}

/// The field of an input that an expression asks for and that its hook does not have.
fn field(hook: Hook, schema: &Value, expr: &Expr) -> Option<Fault> {
    let place = match expr {
        Expr::RefDot { field, .. } => &field.0,
        Expr::RefBrack { index, .. } => index.span(),
        _ => return None,
    };
    let (names, whole) = walk::path(expr)?;
    let [root, names @ ..] = names.as_slice() else { return None };
    let (last, above) = names.split_last()?;
    if *root != "input" || !whole {
        return None;
    }
    let mut at_schema = schema;
    for name in above {
        at_schema = at_schema.get("properties")?.get(name)?;
    }
    let fields = at_schema.get("properties")?.as_object()?;
    if fields.contains_key(*last) {
        return None;
    }
    let what = format!("the input of {hook} has no field {}", names.join("."));
    let known = fields.keys().map(String::as_str).collect::<Vec<_>>();
    let fault = at(fault::MEANING, place, what).expected(known.join(", "));
    Some(match near(last, known.into_iter()) {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault,
    })
}

fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    scored.min().filter(|(distance, _)| *distance <= 2).map(|(_, known)| known)
}

/// Functions that call themselves, by whatever way: the interpreter's stack would not end.
fn recursions(
    modules: &[Ref<Module>],
    functions: &BTreeSet<String>,
    calls: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for function in functions.iter().filter(|function| reaches_itself(function, calls)) {
        let found = modules.iter().find_map(|module| {
            let package = walk::package(module);
            let named = |name: &str| format!("data.{package}.{name}") == *function;
            module.policy.iter().find(|rule| walk::name(rule).is_some_and(|(name, _)| named(&name)))
        });
        let Some(rule) = found else { continue };
        let what = format!("{function} calls itself");
        faults.push(at(fault::MEANING, rule.span(), what).expected("no recursion"));
    }
    faults
}

fn reaches_itself(function: &str, calls: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&String> = calls.get(function).into_iter().flatten().collect();
    while let Some(called) = next.pop() {
        if called == function {
            return true;
        }
        if seen.insert(called) {
            next.extend(calls.get(called).into_iter().flatten());
        }
    }
    false
}
