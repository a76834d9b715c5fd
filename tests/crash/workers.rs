//! Workers that are killed.

use std::time::Duration;

use maestro_tests::harness::{SCRIPTED_POOL, ScriptedWorker, plan_of, record, until};
use serde_json::json;

use crate::scene::Scene;

/// From a kill to the start of what the killed worker had in hand, somewhere else.
const ELSEWHERE_MAX: Duration = Duration::from_secs(5);

/// Stops a worker when it has something in hand.
async fn freeze_at_work(worker: &ScriptedWorker) {
    until("work in the worker's hands", || async {
        worker.process.freeze();
        until("a stop", || async { worker.process.is_frozen().then_some(()) }).await;
        if worker.record.in_hand().is_empty() {
            worker.process.thaw();
            return None;
        }
        Some(())
    })
    .await;
}

/// Checks that each of these attempts began at `other` soon enough after `killed_at`.
async fn check_elsewhere(attempts: &[String], other: &ScriptedWorker, killed_at: Duration) {
    for attempt in attempts {
        let began = until("the start elsewhere", || async {
            other.record.begun().into_iter().find(|begun| begun.attempt == *attempt)
        });
        let waited = began.await.at.saturating_sub(killed_at);
        assert!(waited <= ELSEWHERE_MAX, "{attempt} began elsewhere after {waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_had_in_hand_starts_elsewhere_within_5_s_and_the_run_ends_as_if_undisturbed()
 {
    let scene = Scene::set(&["one"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let run = scene.half_way(0).await;
    let [victim, other] = scene.workers.as_slice() else { panic!("two workers") };
    freeze_at_work(victim).await;
    let in_hand = victim.record.in_hand();
    let killed_at = record::now();
    victim.process.kill().await;
    scene.check_unfinished(run).await;
    scene.check_equal(run, &undisturbed).await;
    check_elsewhere(&in_hand, other, killed_at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_step_of_a_killed_worker_starts_elsewhere_within_5_s() {
    let scene = Scene::set(&["one"], 2).await;
    let mut plan = plan_of(&[("long", SCRIPTED_POOL, "noop", &[])]);
    plan.nodes[0].with = json!({ "ms": 2_500 });
    let run = scene.cluster.submit(plan, 3).await;
    let holder = until("an execution", || async {
        scene.workers.iter().position(|worker| !worker.record.in_hand().is_empty())
    })
    .await;
    let (victim, other) = (&scene.workers[holder], &scene.workers[1 - holder]);
    // Renewed at least once, so that the bus last heard of it as late as it can be.
    let begun = victim.record.begun()[0].at;
    until("a renewal", || async {
        (record::now() - begun > Duration::from_millis(1_200)).then_some(())
    })
    .await;
    let in_hand = victim.record.in_hand();
    let killed_at = record::now();
    victim.process.kill().await;
    assert_eq!(scene.cluster.ended(&scene.rows, run).await, "succeeded");
    check_elsewhere(&in_hand, other, killed_at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_execution_of_an_attempt_has_spent_no_other_may_spend_though_both_are_at_work() {
    let scene = Scene::set(&["one"], 2).await;
    let mut plan = plan_of(&[("spends", SCRIPTED_POOL, "noop", &[])]);
    plan.nodes[0].with = json!({ "ms": 1_500, "spend": [60, 60] });
    plan.nodes[0].budget_microusd = Some(130);
    let run = scene.cluster.submit(plan, 3).await;
    let entered = "select count(*) from model_call where run = $1 and not settled";
    until("a first call", || async { (scene.count(entered, run).await == 1).then_some(()) }).await;
    let holder = scene.workers.iter().find(|worker| !worker.record.in_hand().is_empty());
    let first = holder.expect("the worker that has it in hand");
    first.process.freeze();
    // Another takes the attempt over. Of what is left it can pay one call, and no second.
    assert_eq!(scene.cluster.ended(&scene.rows, run).await, "failed");
    first.process.thaw();
    until("an end of the first execution", || async {
        first.record.in_hand().is_empty().then_some(())
    })
    .await;
    let spent = "select sum(cost_microusd)::bigint from model_call where run = $1";
    assert_eq!((scene.count(entered, run).await, scene.count(spent, run).await), (2, 120));
    let why = "select count(*) from attempt where run = $1 and failure->>'class' = 'denied'
                and failure->>'message' like '%another execution of this attempt%'";
    assert_eq!(scene.count(why, run).await, 1);
}
