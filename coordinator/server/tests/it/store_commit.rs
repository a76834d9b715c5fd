//! A commit lands whole, once, and only for the owner of its shards.

use maestro_engine::shard::commit::{CallRow, Commit, ShardAdvance};
use maestro_engine::shard::request::Landing;
use maestro_schemas::api::cost::By;
use maestro_schemas::id::{CoordinatorId, DecisionId, RunId};
use maestro_schemas::report::ModelCall;
use maestro_schemas::step::{RunState, StepAddress, StepState};
use maestro_server::store;
use maestro_server::store::model_call::{self, Filter};

use crate::support::rows::*;

const STEP: StepAddress = StepAddress::node(0);

fn begun(run: RunId) -> Commit {
    Commit {
        runs_begun: vec![run_row(run)],
        dispatched: vec![dispatch_row(run, STEP, 1)],
        ..batch(1)
    }
}

fn ended(run: RunId) -> Commit {
    Commit {
        undispatched: vec![(run, STEP)],
        attempts: vec![attempt_row(run, STEP, 1)],
        dispatched: vec![dispatch_row(run, StepAddress::node(2), 1)],
        ..batch(2)
    }
}

#[tokio::test]
async fn a_plain_step_changes_three_rows_and_its_shard() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    assert_eq!(fold.commit(&begun(run)).await.unwrap(), Landing::Done);
    assert_eq!(fold.commit(&ended(run)).await.unwrap(), Landing::Done);
    assert_eq!(database.count("attempt").await, 1);
    assert_eq!(database.count("dispatch").await, 1);
    let leases = store::shard::list(&mut database.conn().await).await.unwrap();
    assert_eq!((leases[0].epoch, leases[0].batch, leases[0].is_free), (1, 2, false));
}

#[tokio::test]
async fn the_same_commit_sent_twice_lands_once() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    for _ in 0..3 {
        assert_eq!(fold.commit(&begun(run)).await.unwrap(), Landing::Done);
    }
    assert_eq!(database.count("dispatch").await, 1);
}

#[tokio::test]
async fn a_commit_of_another_epoch_or_batch_is_refused_and_changes_nothing() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    for (epoch, number) in [(0, 1), (2, 1), (1, 2), (1, 0)] {
        let shards = vec![ShardAdvance { shard: 0, epoch, batch: number, clock_ms: 1 }];
        let commit = Commit { shards, ..begun(run) };
        let expected = if (epoch, number) == (1, 0) { Landing::Done } else { Landing::Refused };
        assert_eq!(fold.commit(&commit).await.unwrap(), expected, "epoch {epoch}, batch {number}");
    }
    assert_eq!(database.count("run").await, 0);
}

#[tokio::test]
async fn a_commit_over_two_shards_is_refused_where_one_of_them_is_lost() {
    let database = laid_out().await;
    let mut conn = database.conn().await;
    store::shard::acquire(&mut conn, 1, "two", CoordinatorId::generate()).await.unwrap().unwrap();
    let both = |second_epoch| Commit {
        shards: vec![
            ShardAdvance { shard: 0, epoch: 1, batch: 1, clock_ms: 1 },
            ShardAdvance { shard: 1, epoch: second_epoch, batch: 1, clock_ms: 1 },
        ],
        ..Commit::default()
    };
    let mut fold = database.fold();
    assert_eq!(fold.commit(&both(2)).await.unwrap(), Landing::Refused);
    assert_eq!(store::shard::list(&mut conn).await.unwrap()[0].batch, 0);
    assert_eq!(fold.commit(&both(1)).await.unwrap(), Landing::Done);
    assert_eq!(fold.commit(&both(1)).await.unwrap(), Landing::Done);
}

#[tokio::test]
async fn a_list_that_does_not_fit_the_rows_undoes_everything() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    fold.commit(&begun(run)).await.unwrap();
    let unknown = RunId::generate();
    let misfits = [
        Commit { undispatched: vec![(unknown, STEP)], ..ended(run) },
        Commit { dispatched: vec![dispatch_row(run, STEP, 2)], undispatched: vec![], ..ended(run) },
        Commit { runs_changed: vec![run_change(unknown, 2, RunState::Failed)], ..ended(run) },
        Commit { timers_cleared: vec![(run, STEP)], ..ended(run) },
        Commit { runs_begun: vec![run_row(run)], ..ended(run) },
    ];
    for commit in misfits {
        let refused = fold.commit(&commit).await;
        assert!(matches!(refused, Err(store::Error::Counts(_))), "{refused:?}");
    }
    assert_eq!(database.count("attempt").await, 0);
    assert_eq!(fold.commit(&ended(run)).await.unwrap(), Landing::Done);
}

#[tokio::test]
async fn what_is_no_data_is_named_and_nothing_of_its_batch_stands() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    fold.commit(&begun(run)).await.unwrap();
    let mut nul = run_change(run, 2, RunState::Failed);
    nul.cause = Some("a\u{0}b".to_owned());
    let far = StepAddress::node(u32::MAX);
    let mut waiting = step_row(run, StepAddress::node(1), StepState::Live);
    waiting.reason = "a live step has no row".to_owned();
    let unfit = [
        Commit { runs_changed: vec![nul], ..ended(run) },
        Commit { undispatched: vec![], attempts: vec![attempt_row(run, far, 1)], ..ended(run) },
        Commit { steps: vec![waiting], ..ended(run) },
    ];
    for commit in unfit {
        let landing = fold.commit(&commit).await.unwrap();
        assert!(matches!(landing, Landing::Unacceptable(_)), "{landing:?}");
    }
    assert_eq!(database.count("attempt").await, 0);
    assert_eq!(fold.commit(&ended(run)).await.unwrap(), Landing::Done);
}

#[tokio::test]
async fn a_commit_that_is_not_answered_is_unknown_and_lands_when_sent_again() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    assert_eq!(fold.commit(&batch(1)).await.unwrap(), Landing::Done);
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'maestro-fold' and datname = current_database()")
        .execute(&mut database.conn().await)
        .await
        .unwrap();
    let commit = Commit { runs_begun: vec![run_row(run)], ..batch(2) };
    let mut landing = fold.commit(&commit).await.unwrap();
    assert_eq!(landing, Landing::Unknown);
    for _ in 0..10 {
        landing = fold.commit(&commit).await.unwrap();
        if landing == Landing::Done {
            break;
        }
    }
    assert_eq!(landing, Landing::Done);
    assert_eq!(database.count("run").await, 1);
}

#[tokio::test]
async fn an_empty_commit_renews_the_lease() {
    let database = laid_out().await;
    let mut conn = database.conn().await;
    sqlx::query("update shard set expires_at = '-infinity'").execute(&mut conn).await.unwrap();
    database.fold().commit(&batch(1)).await.unwrap();
    assert!(!store::shard::list(&mut conn).await.unwrap()[0].is_free);
}

#[tokio::test]
async fn the_first_result_of_a_key_stays() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let (first, second) = (RunId::generate(), RunId::generate());
    fold.commit(&Commit { results: vec![result_row(b"k", first)], ..batch(1) }).await.unwrap();
    fold.commit(&Commit { results: vec![result_row(b"k", second)], ..batch(2) }).await.unwrap();
    let mut conn = database.conn().await;
    let key = maestro_schemas::digest::Digest::of(b"k");
    let known = store::result::by_key(&mut conn, &project(), key).await.unwrap().unwrap();
    assert_eq!((known.run, known.outputs), (first, outputs()));
    let steps = ["main/first".to_owned(), "none".to_owned()];
    let parts = store::result::latest_parts(&mut conn, &project(), "ci", &steps).await.unwrap();
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["main/first"]);
}

#[tokio::test]
async fn a_call_of_a_model_is_kept_once_however_often_it_is_reported() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    let calls = vec![call_row(run, STEP, 700), call_row(run, STEP, 300)];
    let begun = Commit { calls: calls.clone(), ..begun(run) };
    assert_eq!(fold.commit(&begun).await.unwrap(), Landing::Done);
    assert_eq!(fold.commit(&begun).await.unwrap(), Landing::Done);
    let again = Commit { calls: calls[..1].to_vec(), ..ended(run) };
    assert_eq!(fold.commit(&again).await.unwrap(), Landing::Done);
    assert_eq!(database.count("model_call").await, 2);
    let filter =
        Filter { by: By::Model, run: Some(run), since_ms: 0, until_ms: u64::MAX, rows_max: 10 };
    let sums = model_call::sums(&mut database.conn().await, &project(), &filter).await.unwrap();
    assert_eq!((sums[0].about.as_str(), sums[0].calls, sums[0].tasks), ("gpt-4o-mini", 2, 1));
    assert_eq!(sums[0].cost_microusd, 1_000);
}

#[tokio::test]
async fn what_is_told_of_a_call_replaces_what_it_was_announced_as_in_any_order() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let run = RunId::generate();
    let told = |row: &CallRow, call: &ModelCall| CallRow { call: call.clone(), ..row.clone() };
    let known = call_row(run, STEP, 300);
    let named = |model: &str| ModelCall { model: model.to_owned(), ..known.call.clone() };
    let announced = ModelCall {
        announced: true,
        settled: false,
        cost_microusd: 700,
        wall_ms: 0,
        ..named("asked")
    };
    let decision = Some(DecisionId::generate());
    let decided = ModelCall {
        announced: false,
        decision,
        cost_microusd: 900,
        model: "decided".to_owned(),
        ..announced.clone()
    };
    let unmade = ModelCall { unmade: true, settled: true, cost_microusd: 0, ..decided.clone() };
    let ended = ModelCall { decision, ..named("decided") };
    let [one, other, third] = [0, 1, 2].map(|ordinal| CallRow { ordinal, ..known.clone() });
    let rows = || async {
        sqlx::query_as::<_, (i32, String, bool, i64)>(
            "select ordinal, model, decision is not null, cost_microusd from model_call
              where not unmade order by ordinal",
        )
        .fetch_all(&mut database.conn().await)
        .await
        .unwrap()
    };
    let row =
        |ordinal, model: &str, is_decided, cost| (ordinal, model.to_owned(), is_decided, cost);

    // Of two words in one commit the one that knows more counts, whichever comes first.
    let first = vec![
        told(&one, &announced),
        told(&other, &announced),
        told(&third, &decided),
        told(&third, &announced),
    ];
    fold.commit(&Commit { calls: first.clone(), ..begun(run) }).await.unwrap();
    let expected =
        [row(0, "asked", false, 700), row(1, "asked", false, 700), row(2, "decided", true, 900)];
    assert_eq!(rows().await, expected);

    let then = vec![told(&one, &decided), told(&other, &unmade)];
    fold.commit(&Commit { calls: then, ..batch(2) }).await.unwrap();
    let left = [row(0, "decided", true, 900), row(2, "decided", true, 900)];
    assert_eq!(rows().await, left);
    fold.commit(&Commit { calls: first, ..batch(3) }).await.unwrap();
    assert_eq!(rows().await, left, "what was announced is read again and changes nothing");

    let last = vec![told(&one, &ended), told(&third, &unmade)];
    fold.commit(&Commit { calls: last, ..batch(4) }).await.unwrap();
    assert_eq!(rows().await, [row(0, "decided", true, 300)]);
    let filter =
        Filter { by: By::Run, run: Some(run), since_ms: 0, until_ms: u64::MAX, rows_max: 10 };
    let sums = model_call::sums(&mut database.conn().await, &project(), &filter).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_microusd), (1, 300), "what is not made is no call");
}
