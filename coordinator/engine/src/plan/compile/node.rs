//! A gathered step to a node of the plan.

use std::collections::BTreeMap;

use maestro_schemas::action::ActionInfo;
use maestro_schemas::api::plans::Catalogue;
use maestro_schemas::artifact::Tree;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{ActionRef, Node, Unresolved};
use maestro_schemas::prompt;
use serde_json::Value;

use super::assemble::{Built, add_keys, order_nodes};
use super::gather::{Draft, Frame, Graph};
use super::half::Half;
use super::order::Edges;
use super::policy::{cache, microusd};
use super::resolve::{Resolver, Spot};
use super::workspace::Trees;
use super::{Report, Request, action, secret};
use crate::pipeline::diagnostic::list;
use crate::pipeline::yaml::{Kind, Marked, Path};
use crate::pipeline::{Code, DIAGNOSTICS_MAX, Fault, Position, schema};
use crate::plan::check;

/// The nodes of a plan, and what was found on the way.
#[derive(Default)]
pub struct Nodes {
    /// In the plan's order.
    pub nodes: Vec<Node>,
    /// What could not be resolved.
    pub unresolved: Vec<Unresolved>,
    /// What the author should know.
    pub warnings: Vec<String>,
    /// The trees that workspaces name.
    pub trees: BTreeMap<Digest, Tree>,
}

/// Makes the nodes of a plan.
pub(super) fn nodes(
    graph: &Graph,
    edges: Edges,
    resolver: &Resolver<'_>,
    request: Request<'_>,
    report: &mut Report,
) -> Nodes {
    let mut builder = Builder {
        graph,
        resolver,
        request,
        out: Nodes::default(),
        trees: Trees::default(),
        unserved: BTreeMap::new(),
    };
    let built: Vec<Option<Built>> = graph
        .drafts
        .iter()
        .map(|draft| {
            let frame = graph.frames.get(draft.site.frame).filter(|_| !report.is_full())?;
            let built = builder.node(frame, draft);
            builder.out.unresolved.extend(resolver.take_unresolved());
            built
                .map_err(|faults| {
                    faults.into_iter().for_each(|fault| report.add(&frame.source, fault))
                })
                .ok()
        })
        .collect();
    let mut out = builder.out;
    let catalogue = request.catalogue;
    out.warnings.extend(builder.unserved.iter().map(|one| unserved(catalogue, one)));
    out.trees = builder.trees.found;
    if let Some(built) = built.into_iter().collect::<Option<Vec<Built>>>() {
        out.nodes = order_nodes(graph, edges, built, report);
    }
    let sources = request.sources;
    add_keys(&mut out, sources.tree.is_some());
    out
}

/// Makes nodes one by one.
pub(super) struct Builder<'a> {
    pub graph: &'a Graph,
    pub resolver: &'a Resolver<'a>,
    pub request: Request<'a>,
    pub out: Nodes,
    pub trees: Trees,
    /// The steps whose action nobody has announced, by action and pool.
    pub unserved: BTreeMap<(String, String), Vec<String>>,
}

/// What becomes of steps whose action nobody has announced: the workers of their pool refuse it, where it
/// has some.
fn unserved(
    catalogue: &Catalogue,
    ((action, pool), steps): (&(String, String), &Vec<String>),
) -> String {
    let steps = list(steps.iter().map(String::as_str), "and");
    let has_workers = catalogue.actions.values().any(|one| one.pool.as_str() == pool);
    let fate = if has_workers {
        format!("will fail, since the workers of pool {pool} do not serve it")
    } else {
        format!("will wait until one serves pool {pool}")
    };
    format!("no worker has announced {action}: {steps} {fate}")
}

/// Keeps what went well and notes what did not.
pub(super) struct Faults(pub Vec<Fault>);

impl Faults {
    /// The value, or its default where there is none.
    pub fn take<T: Default>(&mut self, result: Result<T, Fault>) -> T {
        result.unwrap_or_else(|fault| {
            self.0.push(fault);
            T::default()
        })
    }
}

impl Builder<'_> {
    fn node(&mut self, frame: &Frame, draft: &Draft) -> Result<Built, Vec<Fault>> {
        let step = &draft.site.step;
        let mut faults = Faults(Vec::new());
        let site = SiteOf { frame, draft };
        let run = step.run.as_deref().unwrap_or_default();
        let info = action::announced(self.request.catalogue, run);
        let pool = action::pool(run, info, site.at("run")).map_err(|fault| vec![fault])?;
        faults.0.extend(parameters(frame, draft, info));
        let (with, env, templated) = self.resolved(&site, &mut faults);
        let secrets = secret::secrets(&site, &env, &mut faults);
        let for_each = faults.take(self.items(&site));
        let condition = faults.take(self.condition(&site));
        let effect = step.effect.or(info.map(|info| info.effect)).unwrap_or_default();
        let (cached, salt) = faults.take(cache(&site, effect));
        let outputs = self.artifacts(&site, &mut faults);
        let beside = self.beside(&site, &pool, &mut faults);
        let mut reads = self.resolver.take_reads();
        let inputs = self.inputs(&site, &mut reads, &mut faults);
        let (timeout_ms, retry, resources) = (
            faults.take(self.timeout(&site)),
            faults.take(self.retry(&site)),
            faults.take(self.resources(&site)),
        );
        let concurrency = faults.take(self.concurrency(&site));
        let workspace = faults.take(self.workspace(&site, pool.as_str()));
        let sandbox = self.sandbox(&site, pool).map_err(|fault| {
            faults.0.push(fault);
            std::mem::take(&mut faults.0)
        })?;
        let node = Node {
            id: draft.id.clone(),
            stage: draft.stage,
            action: ActionRef {
                name: run.to_owned(),
                version: info.map(|info| info.version.clone()),
            },
            with,
            env,
            secrets,
            templated,
            needs: Vec::new(),
            reads: Vec::new(),
            condition,
            for_each,
            effect,
            key: None,
            cached,
            salt,
            timeout_ms,
            retry,
            priority: self.priority(&site),
            concurrency,
            resources,
            isolation: sandbox.isolation,
            network: sandbox.network,
            budget_microusd: step.budget.map(microusd),
            allow_failure: step.allow_failure.unwrap_or(false),
            finally: draft.finally,
            workspace,
            inputs,
            outputs,
            beside,
            pool: sandbox.pool,
        };
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        self.remark(&node, info.is_some());
        Ok(Built { node, reads })
    }

    /// Says what of a node nobody serves or knows yet.
    fn remark(&mut self, node: &Node, is_announced: bool) {
        let mut add = |kind: &str, name: &str| {
            let step = node.id.clone();
            let thing = Unresolved { step, kind: kind.into(), name: name.into() };
            self.out.unresolved.push(thing);
        };
        if !is_announced {
            add("action", &node.action.name);
            let action = (node.action.name.clone(), node.pool.to_string());
            self.unserved.entry(action).or_default().push(node.id.clone());
        }
        let named = |field: &str| {
            let is_asked = node.pool.as_str() == action::LLM_POOL && !node.templated;
            node.with.get(field).and_then(Value::as_str).filter(|_| is_asked)
        };
        let sources = self.request.sources;
        let is_there =
            |name: &str| prompt::path(name).is_some_and(|path| sources.digest(&path).is_some());
        if let Some(name) = named(action::PROMPT_KEY).filter(|name| !is_there(name)) {
            add("prompt", name);
        }
        if let Some(name) = named("model").filter(|_| !is_announced) {
            add("model", name);
        }
    }

    /// Parameters and environment as they stand in the plan, and whether a run resolves the rest.
    fn resolved(
        &self,
        site: &SiteOf<'_>,
        faults: &mut Faults,
    ) -> (Value, BTreeMap<String, String>, bool) {
        let (with, env) = (self.with(site, faults), self.env(site, faults));
        let templated = with.is_later() || env.values().any(Half::is_later);
        let env = env.iter().map(|(name, half)| (name.clone(), text_of(&half.render(templated))));
        (with.render(templated), env.collect(), templated)
    }

    fn with(&self, site: &SiteOf<'_>, faults: &mut Faults) -> Half {
        let path = site.draft.site.path.join("with");
        let field = |(name, value): (&String, &Value)| {
            let at = site.frame.source.at(&path.join(name));
            if faults.0.len() >= DIAGNOSTICS_MAX {
                return (name.clone(), Half::default());
            }
            let half = self.resolver.value(Spot { at, ..site.spot("with", true) }, value);
            (name.clone(), faults.take(half))
        };
        Half::Map(site.draft.site.step.with.iter().map(field).collect()).whole()
    }

    fn env(&self, site: &SiteOf<'_>, faults: &mut Faults) -> BTreeMap<String, Half> {
        let mut all = BTreeMap::new();
        for (index, layer) in site.draft.env.iter().enumerate() {
            let Some(frame) = self.graph.frames.get(layer.frame) else { continue };
            let is_own = index + 1 == site.draft.env.len() && layer.frame == site.draft.site.frame;
            for (name, value) in &layer.value {
                let spot = Spot {
                    frame: layer.frame,
                    stage: &layer.stage,
                    at: frame.source.at(&layer.path.join(name)),
                    step: &site.draft.id,
                    items: is_own && site.has_items(),
                };
                if !check::is_variable(name) {
                    let fault =
                        Fault::new(Code::InvalidValue, spot.at, "this is no name of a variable");
                    faults.0.push(fault.found(name).expected("letters, digits and _"));
                }
                all.insert(name.clone(), faults.take(self.resolver.text(spot, &value.to_string())));
            }
        }
        all
    }

    /// A text that must be known when planning.
    pub(super) fn known_text(&self, spot: Spot<'_>, text: &str) -> Result<String, Fault> {
        match self.resolver.text(spot, text)? {
            Half::Known(value) => Ok(text_of(&value)),
            _ => Err(Fault::new(Code::TooEarly, spot.at, "this must be known when planning")
                .found(text)
                .expected("an expression over inputs, git and files")),
        }
    }
}

/// A step's place, for what is said about it.
pub(super) struct SiteOf<'a> {
    pub frame: &'a Frame,
    pub draft: &'a Draft,
}

impl SiteOf<'_> {
    pub fn at(&self, key: &str) -> Position {
        self.frame.source.at(&self.draft.site.path.join(key))
    }

    fn has_items(&self) -> bool {
        let step = &self.draft.site.step;
        step.for_each.is_some() || step.matrix.is_some() || step.split.is_some()
    }

    pub fn spot(&self, key: &str, items: bool) -> Spot<'_> {
        Spot {
            frame: self.draft.site.frame,
            stage: &self.draft.site.stage,
            at: self.at(key),
            step: &self.draft.id,
            items: items && self.has_items(),
        }
    }
}

/// A value as a text: a text as it is, nothing as nothing, anything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Checks the parameters against the action's schema, where the action is announced.
fn parameters(frame: &Frame, draft: &Draft, info: Option<&ActionInfo>) -> Vec<Fault> {
    let path = draft.site.path.join("with");
    let Some(info) = info else { return Vec::new() };
    let empty = Marked { at: frame.source.at(&draft.site.path), kind: Kind::Map(Vec::new()) };
    let is_there = !draft.site.step.with.is_empty();
    let value = if is_there { frame.source.tree.find(&path) } else { &empty };
    schema::check(&info.with_schema, value, &Path::default().join("with"), true)
        .into_iter()
        .map(|fault| Fault { code: Code::Parameters, ..fault })
        .collect()
}
