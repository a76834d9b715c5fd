//! Objects that vanish from the storage while a run needs them.

use maestro_schemas::plan::{InputArtifact, OutputArtifact, Plan};
use maestro_tests::harness::{Cluster, plan_of};
use serde_json::json;
use sqlx::PgPool;

/// A step makes a directory, one loses what `objects` names, and one reads the directory.
fn make_lose_read(objects: &str) -> Plan {
    let mut plan = plan_of(&[
        ("make", "build", "shell", &[]),
        ("lose", "build", "shell", &[0]),
        ("read", "build", "shell", &[1]),
    ]);
    let scripts = [
        "mkdir out; echo here > out/file".to_owned(),
        format!("rm -r {objects}"),
        "grep here in/file".to_owned(),
    ];
    for (node, script) in plan.nodes.iter_mut().zip(scripts) {
        node.with = json!({ "script": script });
    }
    plan.nodes[0].outputs =
        vec![OutputArtifact { role: "out".into(), path: "out".into(), optional: false }];
    plan.nodes[2].needs = vec![0, 1];
    plan.nodes[2].reads = vec![0];
    plan.nodes[2].inputs = vec![InputArtifact { node: 0, role: "out".into(), path: "in".into() }];
    plan
}

async fn attempts(rows: &PgPool) -> Vec<(i32, i32, i32, String)> {
    sqlx::query_as(
        "select node, visit, number, state from attempt where state <> 'cancelled'
          order by ended_at_ms, node, visit, number",
    )
    .fetch_all(rows)
    .await
    .expect("rows")
}

fn row(node: i32, visit: i32, number: i32, state: &str) -> (i32, i32, i32, String) {
    (node, visit, number, state.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_artifact_is_lost_is_executed_again_and_the_run_succeeds() {
    let cluster = Cluster::start(&["build"]).await;
    let coordinator = cluster.coordinator("one");
    let worker = cluster.build_worker("w", 2).await;
    let objects = cluster.dir().join("objects/sha256");
    let run = cluster.submit(make_lose_read(&format!("{}/*", objects.display())), 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");
    let happened = [
        row(0, 0, 1, "succeeded"),
        row(1, 0, 1, "succeeded"),
        row(2, 0, 1, "waiting"),
        row(0, 1, 1, "succeeded"),
        row(2, 0, 2, "succeeded"),
    ];
    assert_eq!(attempts(&rows).await, happened);
    let counts: (i64, i64) = sqlx::query_as("select steps_total, steps_ended from run")
        .fetch_one(&rows)
        .await
        .expect("a row");
    assert_eq!(counts, (3, 3), "what is executed again is no further step");
    let made = maestro_server::store::attempt::artifacts(&rows, run).await.expect("artifacts");
    let visits: Vec<_> = made.iter().map(|(step, _)| (step.node, step.visit)).collect();
    assert_eq!(visits, [(0, 1), (2, 0)], "each step's artifacts are listed once");
    worker.drain();
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_one_execution_may_make_is_not_made_again() {
    let cluster = Cluster::start(&["build"]).await;
    let coordinator = cluster.coordinator("one");
    let worker = cluster.build_worker("w", 2).await;
    let objects = cluster.dir().join("objects/sha256");
    let mut plan = make_lose_read(&format!("{}/*", objects.display()));
    plan.nodes[0].effect = maestro_schemas::action::Effect::Once;
    let run = cluster.submit(plan, 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "failed");
    let cause: String =
        sqlx::query_scalar("select cause from run").fetch_one(&rows).await.expect("a row");
    assert!(cause.starts_with("main/read: "), "{cause}");
    assert!(cause.ends_with("rerun the run from main/make to do so again"), "{cause}");
    worker.drain();
    coordinator.stop().await;
}
