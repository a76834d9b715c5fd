//! Dependencies point one way, and decisions are made where nothing is asynchronous.

use super::Finding;
use super::metadata::{Metadata, Package};
use super::source::Source;

/// Which of ours a crate may use. `*` is all of them.
const TABLE: [(&str, &[&str]); 15] = [
    ("maestro-schemas", &[]),
    ("maestro-streams", &["maestro-schemas"]),
    ("maestro-evidence", &["maestro-schemas"]),
    ("maestro-policies", &["maestro-schemas"]),
    ("maestro-router", &["maestro-schemas"]),
    ("maestro-prompts", &["maestro-schemas"]),
    ("maestro-telemetry", &["maestro-schemas"]),
    ("maestro-engine", &["maestro-schemas"]),
    (
        "maestro-server",
        &[
            "maestro-schemas",
            "maestro-streams",
            "maestro-evidence",
            "maestro-policies",
            "maestro-prompts",
            "maestro-router",
            "maestro-telemetry",
            "maestro-engine",
        ],
    ),
    (
        "maestro-kit",
        &[
            "maestro-schemas",
            "maestro-streams",
            "maestro-evidence",
            "maestro-policies",
            "maestro-telemetry",
        ],
    ),
    ("maestro-build", &["maestro-kit", "maestro-schemas"]),
    ("maestro-llm", &["maestro-kit", "maestro-schemas", "maestro-prompts"]),
    ("maestro-cli", &["*"]),
    ("maestro-tests", &["*"]),
    ("xtask", &["maestro-schemas", "maestro-engine", "maestro-server"]),
];

/// What must not even be linked with the engine or the router.
const ENGINE: &str = "maestro-engine";
const ROUTER: &str = "maestro-router";
const ENGINE_NEVER: [&str; 6] = ["tokio", "sqlx", "async-nats", "tracing", "reqwest", "chrono"];

/// What both must not ask for by itself; `uuid` and its randomness come with the schemas.
const ENGINE_NEVER_ASKS: [&str; 4] = ["rand", "uuid", "futures", "getrandom"];

/// What workers must not be linked with: Postgres is none of their business.
const WORKERS: [&str; 3] = ["maestro-kit", "maestro-build", "maestro-llm"];
const WORKERS_NEVER: [&str; 3] = ["sqlx", "maestro-server", "maestro-engine"];

/// What policies must not be linked with: nothing in them waits, and nothing reaches the network.
const POLICIES: &str = "maestro-policies";
const POLICIES_NEVER: [&str; 6] = ["tokio", "sqlx", "async-nats", "tracing", "reqwest", "chrono"];

/// Calls that would let a clock, chance or the outside into a decision.
const PURE_SRC: [&str; 2] = ["coordinator/engine/src/", "router/src/"];
const ENGINE_NEVER_CALLS: [&str; 11] = [
    "Instant::now",
    "SystemTime",
    "::generate()",
    "now_v7",
    "now_v4",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "async fn",
];

/// Finds dependencies that point the wrong way.
pub fn check(metadata: &Metadata, findings: &mut Vec<Finding>) {
    for package in metadata.ours() {
        findings.extend(wrong_uses(package));
        let never: &[&str] = match package.name.as_str() {
            ENGINE | ROUTER => &ENGINE_NEVER,
            POLICIES => &POLICIES_NEVER,
            name if WORKERS.contains(&name) => &WORKERS_NEVER,
            _ => continue,
        };
        let linked = metadata.linked(package);
        for name in never.iter().filter(|name| linked.contains(**name)) {
            findings.push(Finding::new(&package.name, format!("is linked with {name}")));
        }
    }
}

/// Finds calls in the engine and the router that would make a decision depend on more than its arguments.
pub fn check_text(sources: &[Source], findings: &mut Vec<Finding>) {
    for source in sources.iter().filter(|source| is_pure(&source.path)) {
        for call in ENGINE_NEVER_CALLS {
            for (offset, _) in source.code.match_indices(call) {
                if !source.in_test(offset) {
                    findings.push(Finding::new(
                        source.place(offset),
                        format!("{call}: what decides is given time, ids and bytes as arguments"),
                    ));
                }
            }
        }
    }
}

fn is_pure(path: &str) -> bool {
    PURE_SRC.iter().any(|pure| path.starts_with(pure))
}

fn wrong_uses(package: &Package) -> Vec<Finding> {
    let Some((_, may)) = TABLE.iter().find(|(name, _)| *name == package.name) else {
        let what = "is not in the table of xtask/src/tidy/direction.rs: say what it may use";
        return vec![Finding::new(&package.name, what)];
    };
    let plain = package.dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev"));
    plain
        .filter_map(|used| {
            let name = used.name.as_str();
            let ours = name.starts_with("maestro-");
            let wrong = if ours {
                !may.contains(&"*") && !may.contains(&name)
            } else {
                [ENGINE, ROUTER].contains(&package.name.as_str())
                    && ENGINE_NEVER_ASKS.contains(&name)
            };
            wrong.then(|| Finding::new(&package.name, format!("may not use {name}")))
        })
        .collect()
}
