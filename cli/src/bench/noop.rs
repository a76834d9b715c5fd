//! The pool `bench`: one action that does nothing, and says when it did.

use std::time::{SystemTime, UNIX_EPOCH};

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_schemas::action::{ActionInfo, Effect};
use maestro_schemas::name::PoolName;
use maestro_schemas::outcome::{Outcome, Outputs};
use serde_json::{Value, json};

/// The pool's name.
pub const POOL: &str = "bench";

/// The action's name.
pub const ACTION: &str = "bench.noop";

/// The output that holds when the step was carried out, in microseconds since 1970.
pub const AT_US: &str = "at_us";

/// How many bytes of output a step makes beside [`AT_US`], so that all are about 256.
const PADDING_BYTES: usize = 220;

/// Carries out steps that do nothing.
#[derive(Debug)]
pub struct NoopPool {
    pool: PoolName,
    padding: Value,
}

impl NoopPool {
    /// Serves [`ACTION`] as the pool `pool`.
    pub fn new(pool: PoolName) -> Self {
        Self { pool, padding: Value::String("x".repeat(PADDING_BYTES)) }
    }
}

impl Handler for NoopPool {
    fn actions(&self) -> Vec<ActionInfo> {
        vec![ActionInfo {
            name: ACTION.to_owned(),
            version: "1".to_owned(),
            pool: self.pool.clone(),
            summary: "Does nothing; for measurements.".to_owned(),
            effect: Effect::Idempotent,
            with_schema: json!({ "type": "object" }),
        }]
    }

    fn carry_out(&self, _: Execution) -> Carried {
        let padding = self.padding.clone();
        Box::pin(async move {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let at = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
            let outputs =
                Outputs::from([(AT_US.to_owned(), json!(at)), ("padding".to_owned(), padding)]);
            Outcome::Succeeded { outputs, artifacts: Vec::new() }
        })
    }
}
