//! What calls of models cost, from the worker's books to the row.

use maestro_schemas::api::cost::By;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::plan::{ForEach, Items, RetryPolicy};
use maestro_schemas::report::ModelCall;
use maestro_server::store::model_call::{Filter, sums};
use maestro_tests::harness::{Cluster, Scripted, plan_of};

const ITEMS: u32 = 20;

fn call(cost_microusd: u64, settled: bool) -> ModelCall {
    let begun = ModelCall::begun("m", Digest::of(b"asked"), cost_microusd);
    ModelCall { input_tokens: 10, output_tokens: 5, settled, wall_ms: 1, ..begun }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_in_the_ledger_whether_its_attempt_succeeded_or_not() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    // The first attempt breaks off in its call, which may have been paid for; the second pays 7.
    let spending = Scripted::new("noop", |execution| async move {
        let entry = execution.ledger.begin(call(100, false));
        if execution.task.token.number == 1 {
            return Outcome::failed(FailureClass::Transient, "it broke off");
        }
        entry.settle(call(7, true));
        Outcome::succeeded()
    });
    let _worker = cluster.worker("w", 4, spending).await;
    let mut plan = plan_of(&[("ask", "noop", "noop", &[])]);
    plan.nodes[0].for_each =
        Some(ForEach { items: Items::Range(ITEMS), parallel_max: None, fail_fast: false });
    plan.nodes[0].retry = RetryPolicy { retries_max: 1, delay_ms: 0, ..RetryPolicy::default() };
    let run = cluster.submit(plan, 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");

    let project = "default".parse().expect("a name");
    let by = |by| Filter { by, run: Some(run), since_ms: 0, until_ms: u64::MAX, rows_max: 10 };
    let sum = &sums(&rows, &project, &by(By::Step)).await.expect("sums")[0];
    let items = u64::from(ITEMS);
    assert_eq!(sum.about, "test main/ask");
    assert_eq!((sum.calls, sum.tasks, sum.unsettled), (2 * items, items, items));
    assert_eq!(sum.cost_microusd, items * 107);
    let told: i64 = sqlx::query_scalar("select cost_microusd from run where id = $1")
        .bind(run.uuid())
        .fetch_one(&rows)
        .await
        .expect("a run");
    assert_eq!(told as u64, items * 107, "the run's own cost is the ledger's");
    let models = sums(&rows, &project, &by(By::Model)).await.expect("sums");
    assert_eq!((models[0].about.as_str(), models[0].input_tokens), ("m", 20 * items));
    coordinator.stop().await;
}
