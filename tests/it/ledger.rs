//! What calls of models cost, from the worker's books to the row.

use std::sync::Arc;

use maestro_schemas::api::cost::By;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{DecisionId, RunId};
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::plan::{ForEach, Items, RetryPolicy};
use maestro_schemas::report::ModelCall;
use maestro_server::store::model_call::{Filter, sums};
use maestro_tests::harness::{Cluster, Scripted, plan_of, until};
use sqlx::PgPool;
use tokio::sync::Semaphore;

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

/// The calls of a run in the books: the model, whether it was decided for, what it costs.
async fn booked(rows: &PgPool, run: RunId) -> Vec<(String, bool, i64)> {
    sqlx::query_as(
        "select model, decision is not null, cost_microusd from model_call
          where run = $1 and not unmade order by ordinal",
    )
    .bind(run.uuid())
    .fetch_all(rows)
    .await
    .expect("calls")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_call_is_in_the_books_as_what_is_known_of_it_and_counts_as_none_where_it_is_not_made()
 {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let go_on = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go_on);
    let calling = Scripted::new("noop", move |execution| {
        let gate = Arc::clone(&gate);
        async move {
            let account = execution.account.clone();
            let pass = async || gate.acquire().await.expect("it is open").forget();
            let announced = account.announce(call(100, false)).await.expect("a bus");
            let announced = announced.expect("there is no cap");
            pass().await;
            let decision = Some(DecisionId::generate());
            let decided = ModelCall { model: "decided".to_owned(), decision, ..call(200, false) };
            let (entry, news) = announced.becomes(decided.clone()).await.expect("a bus");
            assert!(news.is_none(), "what may cost more is told before it may be made");
            pass().await;
            let cheaper = account.announce(call(50, false)).await.expect("a bus");
            let becoming = cheaper.expect("there is no cap").becomes(call(40, false));
            let (other, news) = becoming.await.expect("a bus");
            news.expect("it is told beside the call").tell_beside().await;
            pass().await;
            drop(other);
            pass().await;
            entry.made().settle(ModelCall { cost_microusd: 7, settled: true, ..decided });
            Outcome::succeeded()
        }
    });
    let _worker = cluster.worker("w", 1, calling).await;
    let run = cluster.submit(plan_of(&[("ask", "noop", "noop", &[])]), 1).await;
    let rows = cluster.rows().await;
    let are = async |expected: &[(&str, bool, i64)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|(model, decided, cost)| (model.to_string(), *decided, *cost))
            .collect();
        until("these calls in the books", || async {
            (booked(&rows, run).await == expected).then_some(())
        })
        .await;
    };
    are(&[("m", false, 100)]).await;
    go_on.add_permits(1);
    are(&[("decided", true, 200)]).await;
    go_on.add_permits(1);
    are(&[("decided", true, 200), ("m", false, 40)]).await;
    go_on.add_permits(1);
    are(&[("decided", true, 200)]).await;
    until("a call that was not made", || async {
        let unmade =
            "select count(*) from model_call where run = $1 and unmade and cost_microusd = 0";
        let count = sqlx::query_scalar::<_, i64>(unmade).bind(run.uuid()).fetch_one(&rows).await;
        (count.expect("a count") == 1).then_some(())
    })
    .await;
    go_on.add_permits(1);
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");
    are(&[("decided", true, 7)]).await;
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_an_attempt_with_a_cap_is_announced_before_it_is_known_what_it_may_cost() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let calling = Scripted::new("noop", |execution| async move {
        match execution.account.announce(call(100, false)).await {
            Ok(None) => Outcome::succeeded(),
            other => Outcome::failed(FailureClass::Permanent, format!("{other:?}")),
        }
    });
    let _worker = cluster.worker("w", 1, calling).await;
    let mut plan = plan_of(&[("ask", "noop", "noop", &[])]);
    plan.nodes[0].budget_microusd = Some(1_000);
    let run = cluster.submit(plan, 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");
    assert_eq!(booked(&rows, run).await, []);
    coordinator.stop().await;
}
