//! The engine: a bundle compiled once, and evaluators that answer by it, one for each thread.
//!
//! An evaluator remembers its answers by the digest of what it was asked. An evaluation is bounded in
//! time, and what a policy does wrong (an error, a panic of the interpreter, too much time) is a denial
//! that says so.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use maestro_schemas::digest::Digest;
use maestro_schemas::verdict::{Hook, Reason, Verdict};
use regorus::unstable::{Module, Ref, Rule, RuleHead};
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};
use regorus::{Engine, Value};

use crate::bundle::{self, Bundle};
use crate::fault::{self, Fault};
use crate::input::{Cost, Input, Promotion, PromptUse, RouteChoice};
use crate::verdict::{ALLOW, Clause, DENIALS, of_allow, of_denial, reason};
use crate::{check, dialect, negation, walk};

mod memory;

use memory::Memory;

/// One rule is evaluated no longer, where its hook does not say otherwise.
pub const EVALUATION_TIME_MAX: Duration = Duration::from_millis(100);
/// A question is no longer, in bytes of JSON, where its hook does not say otherwise.
pub const QUESTION_BYTES_MAX: usize = 64 << 10;

/// The interpreter looks at the clock after so many expressions.
const EXPRESSIONS_PER_LOOK: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// A question as it is asked: JSON with sorted keys, and its digest.
#[derive(Debug, Clone)]
pub struct Question {
    hook: Hook,
    json: String,
    digest: Digest,
    time_max: Duration,
    fault: Option<String>,
}

impl Question {
    /// Makes a question of an input.
    pub fn of<I: Input>(input: &I) -> Self {
        let (json, mut fault) = match serde_json::to_value(input) {
            Ok(json) => (json.to_string(), input.fault()),
            Err(error) => (String::new(), Some(format!("the input is no JSON: {error}"))),
        };
        if json.len() > I::BYTES_MAX {
            let what = format!("the input has {} bytes, of {}", json.len(), I::BYTES_MAX);
            fault = fault.or(Some(what));
        }
        let digest = Digest::of(json.as_bytes());
        Self { hook: I::HOOK, json, digest, time_max: I::TIME_MAX, fault }
    }

    /// Makes a question of a text, which has to be an input of the hook.
    pub fn read(hook: Hook, json: &str) -> Result<Self, serde_json::Error> {
        Ok(match hook {
            Hook::RouteChoice => Self::of(&serde_json::from_str::<RouteChoice>(json)?.completed()),
            Hook::Cost => Self::of(&serde_json::from_str::<Cost>(json)?),
            Hook::PromptUse => Self::of(&serde_json::from_str::<PromptUse>(json)?),
            Hook::Promotion => Self::of(&serde_json::from_str::<Promotion>(json)?),
        })
    }

    /// Where it is asked.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// The answer for these reasons, by a bundle.
    pub fn verdict(&self, reasons: Vec<Reason>, bundle: Digest) -> Verdict {
        let allowed = reasons.is_empty();
        Verdict { hook: self.hook, allowed, reasons, bundle, input: self.digest }
    }
}

/// A bundle, ready to answer. Never changes.
#[derive(Debug)]
pub struct Compiled {
    digest: Digest,
    engine: Engine,
    hooks: BTreeMap<Hook, Rules>,
}

/// What of a package decides.
#[derive(Debug, Clone, Default)]
struct Rules {
    allow: Option<(String, Vec<Clause>)>,
    denials: Vec<String>,
}

impl Compiled {
    /// Compiles a bundle, or says everything that is wrong with it, by file and line.
    pub fn of(bundle: &Bundle) -> Result<Self, Vec<Fault>> {
        let mut whole = load(bundle, bundle.policies().chain(bundle.tests()))?;
        let faults = findings(&mut whole, bundle);
        if !faults.is_empty() {
            return Err(faults);
        }
        let engine = rewritten(bundle, &mut whole, false)?;
        let hooks = hooks(bundle, whole.get_modules());
        Ok(Self { digest: bundle.digest(), engine, hooks })
    }

    /// The bundle's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether a file of the bundle declares the package that the hook asks.
    pub fn has(&self, hook: Hook) -> bool {
        self.hooks.contains_key(&hook)
    }

    /// Whether a rule of that package decides anything.
    pub fn decides(&self, hook: Hook) -> bool {
        let rules = self.hooks.get(&hook);
        rules.is_some_and(|rules| rules.allow.is_some() || !rules.denials.is_empty())
    }

    /// Whether that package says what may be done, and not only what may not.
    pub fn permits(&self, hook: Hook) -> bool {
        self.hooks.get(&hook).is_some_and(|rules| rules.allow.is_some())
    }

    /// An evaluator of one's own; it shares what was compiled.
    pub fn evaluator(self: &Arc<Self>) -> Evaluator {
        Evaluator { engine: self.engine.clone(), memory: Memory::default(), compiled: self.clone() }
    }
}

/// Answers by one bundle. For one thread at a time.
#[derive(Debug, Clone)]
pub struct Evaluator {
    compiled: Arc<Compiled>,
    engine: Engine,
    memory: Memory,
}

impl Evaluator {
    /// The answer.
    pub fn verdict<I: Input>(&mut self, input: &I) -> Verdict {
        self.answer(&Question::of(input))
    }

    /// The answer to a question that was made before.
    pub fn answer(&mut self, question: &Question) -> Verdict {
        question.verdict(self.reasons(question), self.compiled.digest)
    }

    /// What speaks against it; nothing where the bundle has no policy for the hook.
    pub fn reasons(&mut self, question: &Question) -> Vec<Reason> {
        let key = (question.hook, question.digest);
        if let Some(reasons) = self.memory.get(&key) {
            return reasons;
        }
        let rule = format!("data.{}", question.hook.package());
        if let Some(fault) = &question.fault {
            return vec![reason(&rule, fault)];
        }
        let compiled = self.compiled.clone();
        let Some(rules) = compiled.hooks.get(&question.hook) else { return Vec::new() };
        match self.evaluate(rules, question) {
            Ok(reasons) => {
                self.memory.put(key, reasons.clone());
                reasons
            }
            // Not remembered: what took too long once may not the next time.
            Err((rule, what)) => {
                self.engine = compiled.engine.clone();
                vec![reason(&rule, format!("{what}; so it denies [{}]", fault::EVALUATION))]
            }
        }
    }

    fn evaluate(
        &mut self,
        rules: &Rules,
        question: &Question,
    ) -> Result<Vec<Reason>, (String, String)> {
        let input = Value::from_json_str(&question.json)
            .map_err(|error| (format!("data.{}", question.hook.package()), error.to_string()))?;
        self.engine.set_input(input);
        let mut reasons = Vec::new();
        if let Some((rule, clauses)) = &rules.allow {
            let value = ask(&mut self.engine, rule, question.time_max)
                .map_err(|what| (rule.clone(), what))?;
            reasons.extend(of_allow(rule, value.as_ref(), clauses));
        }
        for rule in &rules.denials {
            let value = ask(&mut self.engine, rule, question.time_max)
                .map_err(|what| (rule.clone(), what))?;
            reasons.extend(of_denial(rule, value.as_ref()));
        }
        Ok(reasons)
    }
}

/// The value of a rule, or nothing where it is undefined.
pub(crate) fn ask(
    engine: &mut Engine,
    rule: &str,
    time_max: Duration,
) -> Result<Option<serde_json::Value>, String> {
    engine.set_execution_timer_config(timer(time_max));
    // The interpreter is not ours; where it panics, one question is denied and nothing else happens.
    let value = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(rule.to_owned())))
        .map_err(|_| "the interpreter fails at it".to_owned())?
        .map_err(|error| wrong(&error, time_max))?;
    if value == Value::Undefined {
        return Ok(None);
    }
    serde_json::to_value(&value).map(Some).map_err(|error| error.to_string())
}

fn wrong(error: &impl std::fmt::Display, time_max: Duration) -> String {
    let said = error.to_string();
    if said.contains("exceeded time limit") {
        return format!("it takes longer than {} ms", time_max.as_millis());
    }
    match fault::from_interpreter(fault::EVALUATION, "", &said) {
        fault if fault.file.is_empty() => format!("it cannot be evaluated: {}", fault.what),
        fault => format!("it cannot be evaluated: {fault}"),
    }
}

/// An engine with these files as they are, and the bundle's data.
fn load<'a>(
    bundle: &Bundle,
    files: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Engine, Vec<Fault>> {
    let mut engine = new_engine();
    let mut faults: Vec<_> =
        files.filter_map(|(name, text)| dialect::add(&mut engine, name, text).err()).collect();
    if let Err(fault) = add_data(&mut engine, bundle) {
        faults.push(fault);
    }
    if faults.is_empty() { Ok(engine) } else { Err(faults) }
}

fn new_engine() -> Engine {
    static CLOCK: Clock = Clock(OnceLock::new());
    // It is there already from the second engine on.
    let _ = set_time_source(&CLOCK);
    let mut engine = Engine::new();
    engine.set_execution_timer_config(timer(EVALUATION_TIME_MAX));
    engine
}

const fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit, check_interval: EXPRESSIONS_PER_LOOK }
}

/// For the bound in time alone: no policy can read it.
struct Clock(OnceLock<Instant>);

impl TimeSource for Clock {
    fn now(&self) -> Option<Duration> {
        Some(self.0.get_or_init(Instant::now).elapsed())
    }
}

fn add_data(engine: &mut Engine, bundle: &Bundle) -> Result<(), Fault> {
    let Some(text) = bundle.data() else { return Ok(()) };
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let place = (error.line() as u32, error.column() as u32);
        Fault::at(fault::FILES, bundle::DATA, place, format!("it is no JSON: {error}"))
    })?;
    let fault = |what: String| Fault::of_file(bundle::DATA, what);
    if !json.is_object() {
        return Err(fault("it is no object".to_owned()).expected("an object"));
    }
    let data = Value::from_json_str(text).map_err(|error| fault(error.to_string()))?;
    engine.add_data(data).map_err(|error| fault(error.to_string()))
}

fn findings(engine: &mut Engine, bundle: &Bundle) -> Vec<Fault> {
    let is_test = |name: &str| bundle.tests().any(|(test, _)| test == name);
    let mut faults = check::modules(engine.get_modules(), &is_test);
    if faults.is_empty() {
        faults.extend(meaning(engine).map(|fault| match bundle.text(&fault.file) {
            Some(text) => fault.found_in(text),
            None => fault,
        }));
    }
    faults.sort_by(|one, other| {
        (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column))
    });
    faults
}

/// What the interpreter finds wrong when it prepares, and when it asks every rule about nothing.
fn meaning(engine: &mut Engine) -> Option<Fault> {
    let fault = |said: String| fault::from_interpreter(fault::MEANING, "", &said);
    let failed = || "error: the interpreter fails at this bundle".to_owned();
    let prepared = catch_unwind(AssertUnwindSafe(|| engine.eval_query("true".to_owned(), false)));
    match prepared {
        Err(_) => return Some(fault(failed())),
        Ok(Err(error)) => return Some(fault(error.to_string())),
        Ok(Ok(_)) => {}
    }
    engine.set_input(Value::new_object());
    let asked = catch_unwind(AssertUnwindSafe(|| engine.eval_modules(false)));
    let said = match asked {
        Err(_) => failed(),
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(_)) => return None,
    };
    // With an empty input a rule may well fail; these fail with every input.
    let always = ["is unsafe", "recursion detected", "interpreter fails"];
    always.iter().any(|sign| said.contains(sign)).then(|| fault(said))
}

/// The engine that answers: `not` keeps its loops, and tests are there only if they are to be run.
pub(crate) fn rewritten(
    bundle: &Bundle,
    whole: &mut Engine,
    with_tests: bool,
) -> Result<Engine, Vec<Fault>> {
    let mut engine = new_engine();
    let mut faults = Vec::new();
    let tests = bundle.tests().filter(|_| with_tests);
    for (name, text) in bundle.policies().chain(tests) {
        let found = whole.get_modules().iter().find(|m| m.package.span.source.get_path() == name);
        let Some(module) = found else { continue };
        let text = negation::keep_loops_inside(text, module);
        faults.extend(dialect::add(&mut engine, name, &text).err());
    }
    faults.extend(add_data(&mut engine, bundle).err());
    if let Err(error) = engine.eval_query("true".to_owned(), false) {
        faults.push(fault::from_interpreter(fault::MEANING, "", &error.to_string()));
    }
    if faults.is_empty() { Ok(engine) } else { Err(faults) }
}

/// The same as [`Compiled::of`], for whoever runs the tests too.
pub(crate) fn with_tests(bundle: &Bundle) -> Result<Engine, Vec<Fault>> {
    let mut whole = load(bundle, bundle.policies().chain(bundle.tests()))?;
    let faults = findings(&mut whole, bundle);
    if faults.is_empty() { rewritten(bundle, &mut whole, true) } else { Err(faults) }
}

fn hooks(bundle: &Bundle, modules: &[Ref<Module>]) -> BTreeMap<Hook, Rules> {
    let mut hooks: BTreeMap<Hook, Rules> = BTreeMap::new();
    let is_policy = |module: &Ref<Module>| {
        let path = module.package.span.source.get_path();
        bundle.policies().any(|(name, _)| name == path)
    };
    for module in modules.iter().filter(|module| is_policy(module)) {
        let package = walk::package(module);
        let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.package() == package) else {
            continue;
        };
        let rules = hooks.entry(hook).or_default();
        for rule in &module.policy {
            let Some((name, false)) = walk::name(rule) else { continue };
            let path = format!("data.{package}.{name}");
            if name == ALLOW {
                let (_, clauses) = rules.allow.get_or_insert_with(|| (path, Vec::new()));
                clauses.extend(clause(rule));
            } else if DENIALS.contains(&name.as_str()) && !rules.denials.contains(&path) {
                rules.denials.push(path);
            }
        }
    }
    hooks
}

fn clause(rule: &Rule) -> Option<Clause> {
    let Rule::Spec { span, head: RuleHead::Compr { .. }, bodies } = rule else { return None };
    let said = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let conditions = bodies
        .iter()
        .flat_map(|body| &body.query.stmts)
        .map(|statement| said(&closed(statement.span.text(), &statement.span)))
        .collect::<Vec<_>>()
        .join(" and ");
    Some(Clause { place: format!("{}:{}", span.source.get_path(), span.line), conditions })
}

/// The span of a string ends before its closing quote.
fn closed(text: &str, span: &regorus::unstable::Span) -> String {
    let next = span.source.get_contents().as_bytes().get(span.end as usize);
    match next {
        Some(b'"') => format!("{text}\""),
        Some(b'`') => format!("{text}`"),
        _ => text.to_owned(),
    }
}
