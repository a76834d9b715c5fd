//! Runs by hand: a plan stored, a command sent, a row awaited.

use std::collections::BTreeMap;
use std::time::Duration;

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::{Command, CommandKind, Submission};
use maestro_schemas::id::{CommandId, RunId};
use maestro_schemas::plan::{ActionRef, Node, PLAN_VERSION, Plan, Stage};
use maestro_server::store;
use maestro_streams::connect::Connection;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::{Role, subject};
use sqlx::PgPool;

use super::{Cluster, PATIENCE, until, until_within};

/// A plan of one stage with these nodes: name, pool, action, indices that it needs.
pub fn plan_of(nodes: &[(&str, &str, &str, &[u32])]) -> Plan {
    let nodes = nodes.iter().map(|(name, pool, action, needs)| Node {
        id: format!("main/{name}"),
        action: ActionRef { name: (*action).to_owned(), version: None },
        needs: needs.to_vec(),
        ..node(pool)
    });
    Plan {
        version: PLAN_VERSION,
        name: "test".into(),
        pipeline_version: None,
        inputs: BTreeMap::new(),
        facts: BTreeMap::new(),
        stages: vec![Stage { name: "main".into() }],
        nodes: nodes.collect(),
        outputs: BTreeMap::new(),
        unresolved: Vec::new(),
        warnings: Vec::new(),
    }
}

fn node(pool: &str) -> Node {
    let bare = serde_json::json!({ "id": "", "stage": 0, "action": { "name": "" }, "pool": pool, "timeout_ms": 60_000, "with": {} });
    serde_json::from_value(bare).expect("a node")
}

impl Cluster {
    /// Submits a plan to a shard as the api would, without waiting.
    pub async fn submit(&self, plan: Plan, shard: u16) -> RunId {
        let checked = CheckedPlan::check(plan).expect("a plan that can be trusted");
        let project = "default".parse().expect("a name");
        let rows = self.rows().await;
        let digest = until("the tables", || async {
            store::plan::store(&rows, &project, &checked).await.ok()
        })
        .await;
        let connection =
            Connection::open(self.bus(&Role::Api, "test")).await.expect("the bus answers");
        let publisher = Publisher::open(&connection).await.expect("a publisher");
        let run = RunId::generate();
        let command = Command {
            id: CommandId::generate(),
            run,
            project,
            actor: "test".into(),
            answer_to: None,
            ask: CommandKind::Submit(Submission {
                plan: digest,
                labels: BTreeMap::new(),
                rerun: None,
            }),
        };
        let bytes = codec::encode(&InboxMessage::Command(Box::new(command))).expect("a message");
        until("an inbox that takes the command", || async {
            let taken = publisher.publish(subject::inbox_command(shard, run), bytes.clone().into());
            taken.await.is_there().then_some(())
        })
        .await;
        run
    }

    /// Waits for a run's end, and answers its state.
    pub async fn ended(&self, rows: &PgPool, run: RunId) -> String {
        self.ended_within(PATIENCE, rows, run).await
    }

    /// The same for a run that takes long.
    pub async fn ended_within(&self, patience: Duration, rows: &PgPool, run: RunId) -> String {
        until_within(patience, "the run's end", || async {
            let state: Option<String> = sqlx::query_scalar(
                "select state from run where id = $1 and ended_at_ms is not null",
            )
            .bind(run.uuid())
            .fetch_optional(rows)
            .await
            .expect("a row");
            state
        })
        .await
    }
}
