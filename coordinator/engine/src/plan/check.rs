//! Whether a plan can be trusted: every index in range, every name unique and valid, every size
//! bounded, every expression one that parses and reads only what stands before it.
//!
//! Whoever receives a plan from the network or from storage calls [`CheckedPlan::check`]; the
//! engine takes nothing else, and so never meets an index out of range.

mod beside;
mod program;
mod secret;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{
    ITEMS_MAX, InputArtifact, Items, NODES_MAX, Node, OutputArtifact, PLAN_VERSION, Plan, Workspace,
};
use maestro_schemas::sandbox::{
    Endpoint, HOSTS_MAX, Isolation, Network, SANDBOX_ROLE, STRICT_POOL,
};

use crate::expression::program::Program;

pub use service::{is_command, is_http_path};

/// The most edges of a plan, `needs` and `reads` together.
pub const EDGES_MAX: usize = 1_000_000;

/// The most bytes of one node's parameters as JSON.
pub const WITH_BYTES_MAX: usize = 64 * 1024;

/// The longest id, role, path or other short text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// The most declared variables, artifacts in and artifacts out of one node, each.
pub const ENTRIES_MAX: usize = 256;

/// What the names of variables begin with that no step can declare.
pub const RESERVED: &str = "MAESTRO_";

/// The longest that an attempt may run: 3 days, the age below which no artifact is collected.
pub const TIMEOUT_MS_MAX: u64 = 3 * 24 * 60 * 60 * 1000;

/// The most retries of a step.
pub const RETRIES_MAX: u32 = 100;

/// The kinds of [`maestro_schemas::plan::Unresolved`] with which a plan can be printed but not run.
pub const BLOCKING_KINDS: [&str; 2] = ["file", "git"];

/// Why a plan is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A build of another time wrote it.
    #[error("the plan has version {found}; this build runs version {PLAN_VERSION}")]
    Version {
        /// The version in the plan.
        found: u16,
    },
    /// Something of the plan itself is wrong.
    #[error("the plan's {what}")]
    Plan {
        /// What and how.
        what: String,
    },
    /// Something of a step is wrong.
    #[error("step {step}: {what}")]
    Step {
        /// Its id, or its number where the id is not usable.
        step: String,
        /// What and how.
        what: String,
    },
    /// A step reads something that was not there when it was planned.
    #[error("step {step} needs {kind} {name:?}, which did not exist when this was planned")]
    Unresolved {
        /// Its id.
        step: String,
        /// The kind of thing.
        kind: String,
        /// The thing.
        name: String,
    },
    /// The plan cannot be written as JSON.
    #[error("the plan has no JSON form")]
    Unwritable,
}

/// A plan that was found sound, with its digest and its expressions compiled. Cheap to clone.
#[derive(Clone)]
pub struct CheckedPlan(Arc<Inner>);

struct Inner {
    plan: Plan,
    digest: Digest,
    programs: BTreeMap<String, Program>,
}

impl CheckedPlan {
    /// Checks `plan`. The first thing that is wrong is named with the step that it is in.
    pub fn check(plan: Plan) -> Result<Self, Error> {
        check_head(&plan)?;
        let mut ids = BTreeSet::new();
        for (index, node) in (0u32..).zip(&plan.nodes) {
            Faults { plan: &plan, node, index }
                .check()
                .map_err(|what| step_error(node, index, what))?;
            if !ids.insert(node.id.as_str()) {
                return Err(step_error(node, index, "two steps have this id".into()));
            }
        }
        let programs = program::all(&plan)?;
        let digest = plan.digest().map_err(|_| Error::Unwritable)?;
        Ok(Self(Arc::new(Inner { plan, digest, programs })))
    }

    /// Stands, without any step, for a plan that cannot be read any more: for showing what else
    /// there is of a run that was set aside.
    pub fn unreadable(digest: Digest) -> Self {
        let plan = Plan {
            version: PLAN_VERSION,
            name: String::new(),
            pipeline_version: None,
            inputs: BTreeMap::new(),
            facts: BTreeMap::new(),
            stages: Vec::new(),
            nodes: Vec::new(),
            outputs: BTreeMap::new(),
            unresolved: Vec::new(),
            warnings: Vec::new(),
        };
        Self(Arc::new(Inner { plan, digest, programs: BTreeMap::new() }))
    }

    /// What the plan is stored and submitted under.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// A compiled expression of the plan, by its text.
    pub(crate) fn program(&self, expression: &str) -> Option<&Program> {
        self.0.programs.get(expression)
    }
}

impl Deref for CheckedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0.plan
    }
}

impl std::fmt::Debug for CheckedPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedPlan({} {})", self.name, self.0.digest)
    }
}

impl PartialEq for CheckedPlan {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

fn step_error(node: &Node, index: u32, what: String) -> Error {
    let step = if is_short(&node.id) { node.id.clone() } else { format!("number {index}") };
    Error::Step { step, what }
}

fn plan_error<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Plan { what: what.into() })
}

fn check_head(plan: &Plan) -> Result<(), Error> {
    if plan.version != PLAN_VERSION {
        return Err(Error::Version { found: plan.version });
    }
    if plan.nodes.is_empty() {
        return plan_error("list of steps is empty");
    }
    if plan.nodes.len() > NODES_MAX {
        return plan_error(format!(
            "{} steps are too many; the most is {NODES_MAX}",
            plan.nodes.len()
        ));
    }
    let edges: usize = plan.nodes.iter().map(|node| node.needs.len() + node.reads.len()).sum();
    if edges > EDGES_MAX {
        return plan_error(format!("{edges} edges are too many; the most is {EDGES_MAX}"));
    }
    if !is_short(&plan.name) {
        return plan_error(format!("name is empty or has more than {TEXT_BYTES_MAX} bytes"));
    }
    if plan.stages.len() > NODES_MAX || plan.stages.iter().any(|stage| !is_short(&stage.name)) {
        return plan_error("stages are too many, or one has no usable name");
    }
    match plan.unresolved.iter().find(|thing| BLOCKING_KINDS.contains(&thing.kind.as_str())) {
        Some(thing) => Err(Error::Unresolved {
            step: thing.step.clone(),
            kind: thing.kind.clone(),
            name: thing.name.clone(),
        }),
        None => Ok(()),
    }
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Whether a path stays below the directory that it is relative to.
pub fn is_inner_path(path: &str) -> bool {
    is_short(path)
        && !path.starts_with('/')
        && !path.contains('\\')
        && path.split('/').all(|part| !part.is_empty() && part != "..")
}

struct Faults<'a> {
    plan: &'a Plan,
    node: &'a Node,
    index: u32,
}

type Checked = Result<(), String>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl Faults<'_> {
    fn check(&self) -> Checked {
        self.names()?;
        self.edges("needs", &self.node.needs)?;
        self.edges("reads", &self.node.reads)?;
        self.reach()?;
        self.sizes()?;
        secret::check(self.node)?;
        self.policy()?;
        self.fan_out()?;
        self.sandbox()?;
        beside::check(self.node)?;
        self.artifacts()
    }

    fn names(&self) -> Checked {
        let node = self.node;
        require(is_short(&node.id), || {
            "its id is empty, too long or has control characters".into()
        })?;
        require(is_short(&node.action.name), || "its action has no usable name".into())?;
        require((node.stage as usize) < self.plan.stages.len(), || {
            format!("its stage {} is none of the plan's", node.stage)
        })?;
        require(node.concurrency.as_deref().is_none_or(is_short), || {
            "its concurrency key is empty or too long".into()
        })
    }

    fn edges(&self, what: &str, edges: &[u32]) -> Checked {
        require(edges.is_sorted_by(|one, next| one < next), || {
            format!("`{what}` is not ascending")
        })?;
        require(edges.last().is_none_or(|last| *last < self.index), || {
            format!("`{what}` names a step that does not stand before it")
        })
    }

    /// What a step reads, it needs, directly or through others.
    fn reach(&self) -> Checked {
        let mut wanted: BTreeSet<u32> = self
            .node
            .reads
            .iter()
            .copied()
            .filter(|read| self.node.needs.binary_search(read).is_err())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        let mut open = self.node.needs.clone();
        while let Some(next) = open.pop() {
            wanted.remove(&next);
            if wanted.is_empty() {
                return Ok(());
            }
            if seen.insert(next)
                && let Some(node) = self.plan.nodes.get(next as usize)
            {
                open.extend(&node.needs);
            }
        }
        Err("it reads a step that it does not need".into())
    }

    fn sizes(&self) -> Checked {
        let node = self.node;
        require(node.env.len() <= ENTRIES_MAX, || {
            format!("{} variables are too many; the most is {ENTRIES_MAX}", node.env.len())
        })?;
        let env: usize = node.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        require(env + node.with.to_string().len() <= WITH_BYTES_MAX, || {
            format!("its parameters and environment have more than {WITH_BYTES_MAX} bytes")
        })?;
        require(node.env.keys().all(|name| is_variable(name)), || {
            "a name of its environment is not letters, digits and _".into()
        })
    }

    fn policy(&self) -> Checked {
        let node = self.node;
        require((1..=TIMEOUT_MS_MAX).contains(&node.timeout_ms), || {
            format!("its timeout is not between 1 ms and {TIMEOUT_MS_MAX} ms")
        })?;
        let retry = &node.retry;
        require(retry.retries_max <= RETRIES_MAX, || format!("more than {RETRIES_MAX} retries"))?;
        require(retry.factor.is_finite() && (1.0..=100.0).contains(&retry.factor), || {
            "the factor of its retry is not between 1 and 100".into()
        })?;
        require(retry.delay_ms.max(retry.delay_ms_max) <= TIMEOUT_MS_MAX, || {
            format!("a delay of its retry is longer than {TIMEOUT_MS_MAX} ms")
        })
    }

    fn fan_out(&self) -> Checked {
        let count = match self.node.for_each.as_ref().map(|for_each| &for_each.items) {
            Some(Items::Literal(values)) => values.len() as u64,
            Some(Items::Range(count)) => u64::from(*count),
            Some(Items::Expression(_)) | None => 0,
        };
        require(count <= u64::from(ITEMS_MAX), || {
            format!("{count} items are too many; the most is {ITEMS_MAX}")
        })
    }

    fn sandbox(&self) -> Checked {
        let node = self.node;
        let is_strict = node.isolation == Some(Isolation::Strict);
        require(is_strict == (node.pool.as_str() == STRICT_POOL), || {
            format!("a strict step and no other belongs to the pool {STRICT_POOL}")
        })?;
        let Some(Network::Hosts(hosts)) = &node.network else { return Ok(()) };
        require((1..=HOSTS_MAX).contains(&hosts.len()), || {
            format!("it lists {} hosts; expected 1 to {HOSTS_MAX}", hosts.len())
        })?;
        let wrong = hosts.iter().find(|host| host.parse::<Endpoint>().is_err());
        require(wrong.is_none(), || "its list of hosts names none at one place".into())
    }

    fn artifacts(&self) -> Checked {
        let node = self.node;
        require(node.inputs.len() <= ENTRIES_MAX && node.outputs.len() <= ENTRIES_MAX, || {
            format!("more than {ENTRIES_MAX} artifacts go in or come out")
        })?;
        if let Workspace::Git { url, commit } = &node.workspace {
            require(is_short(url) && !url.starts_with('-'), || {
                "its repository has no usable URL".into()
            })?;
            require(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                || "its commit is not 40 hexadecimal digits".into(),
            )?;
        }
        node.inputs.iter().try_for_each(|input| self.input(input))?;
        let mut roles = BTreeSet::new();
        node.outputs.iter().try_for_each(|output| output_artifact(output, &mut roles))
    }

    fn input(&self, input: &InputArtifact) -> Checked {
        require(is_inner_path(&input.path), || {
            format!("the path {:?} leaves the workspace", input.path)
        })?;
        require(self.node.reads.binary_search(&input.node).is_ok(), || {
            format!("it uses the artifact {:?} of a step that it does not read", input.role)
        })
    }
}

fn output_artifact<'a>(output: &'a OutputArtifact, roles: &mut BTreeSet<&'a str>) -> Checked {
    require(is_inner_path(&output.path), || {
        format!("the path {:?} leaves the workspace", output.path)
    })?;
    require(output.role != SANDBOX_ROLE, || {
        format!("the artifact {SANDBOX_ROLE:?} is the worker's own")
    })?;
    require(is_short(&output.role) && roles.insert(&output.role), || {
        format!("the artifact {:?} is declared twice or has no usable name", output.role)
    })
}

/// Whether a text can name an environment variable.
pub fn is_variable(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= TEXT_BYTES_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}
