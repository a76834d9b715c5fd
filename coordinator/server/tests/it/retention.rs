//! Which decisions and calls go once they are old, and which stay.

use std::time::Duration;

use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use maestro_server::background::retention::{CALLS_MIN, DECISIONS_MIN, Keep, PAGE, expire};
use maestro_server::store::{model_call, route_decision};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::support::postgres::Database;
use crate::support::rows::*;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const STEP: StepAddress = StepAddress { node: 0, item: 0, visit: 0 };

/// Decisions as old as that, in days.
async fn decisions(database: &Database, number: i32, days: f64) {
    let mut conn = database.conn().await;
    sqlx::query("insert into route_config values (decode(repeat('00', 32), 'hex'), '') on conflict do nothing")
        .execute(&mut conn)
        .await
        .unwrap();
    sqlx::query(
        "insert into route_decision (id, project, at_ms, mode, deployment, config, facts, request, objectives, choice)
         select gen_random_uuid(), 'demo', (extract(epoch from now()) * 1000 - $2 * 86400000)::bigint,
                'act', 'own', decode(repeat('00', 32), 'hex'), '{}', '{}', '{}', '{}'
           from generate_series(1, $1)",
    )
    .bind(number)
    .bind(days)
    .execute(&mut conn)
    .await
    .unwrap();
}

/// A call that a commit brought, as old as that, in days.
async fn call(database: &Database, days: f64) {
    let run = RunId::generate();
    let mut conn = database.conn().await;
    let made = call_row(run, STEP, 700);
    let execution = made.execution.uuid();
    database.fold().commit(&commit_of(made, database.count("model_call").await)).await.unwrap();
    let done = sqlx::query(
        "update model_call set at_ms = (extract(epoch from now()) * 1000 - $2 * 86400000)::bigint
          where execution = $1",
    )
    .bind(execution)
    .bind(days)
    .execute(&mut conn)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

fn commit_of(
    call: maestro_engine::shard::commit::CallRow,
    before: i64,
) -> maestro_engine::shard::commit::Commit {
    maestro_engine::shard::commit::Commit {
        calls: vec![call],
        ..batch(1 + u64::try_from(before).unwrap())
    }
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_and_all_else_stays() {
    let database = laid_out().await;
    decisions(&database, i32::from(PAGE) + 5, 31.0).await;
    decisions(&database, 3, 29.0).await;
    for days in [1.0, 399.0, 401.0] {
        call(&database, days).await;
    }
    let go_on = CancellationToken::new();
    let expired = expire(&database.pool(), Keep::default(), &go_on).await.unwrap();
    assert_eq!((expired.decisions, expired.calls), (u64::from(PAGE) + 5, 1));
    assert!(!expired.more);
    assert_eq!(database.count("route_decision").await, 3);
    assert_eq!(database.count("model_call").await, 2);
    let again = expire(&database.pool(), Keep::default(), &go_on).await.unwrap();
    assert_eq!((again.decisions, again.calls), (0, 0));
}

#[tokio::test]
async fn nothing_is_kept_shorter_than_somebody_may_still_speak_of_it() {
    let database = laid_out().await;
    decisions(&database, 1, 0.01).await;
    call(&database, 3.0).await;
    let keep = Keep { decisions: Duration::ZERO, calls: Duration::ZERO };
    let expired = expire(&database.pool(), keep, &CancellationToken::new()).await.unwrap();
    assert_eq!((expired.decisions, expired.calls), (0, 0));
    assert!(DECISIONS_MIN < DAY && CALLS_MIN > 3 * DAY);
}

#[tokio::test]
async fn a_coordinator_that_stops_leaves_the_rest_to_the_next() {
    let database = laid_out().await;
    decisions(&database, i32::from(PAGE) + 5, 31.0).await;
    call(&database, 401.0).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let expired = expire(&database.pool(), Keep::default(), &stop).await.unwrap();
    assert_eq!((expired.decisions, expired.calls, expired.more), (0, 0, true));
    let expired =
        expire(&database.pool(), Keep::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!((expired.decisions, expired.calls, expired.more), (u64::from(PAGE) + 5, 1, false));
}

#[tokio::test]
async fn rows_that_somebody_else_deletes_are_passed_over() {
    let database = laid_out().await;
    decisions(&database, 4, 31.0).await;
    let mut other: PgConnection = database.conn().await;
    let mut held = other.begin().await.unwrap();
    assert_eq!(route_decision::expire(&mut *held, 30 * DAY, 3).await.unwrap(), 3);
    assert_eq!(route_decision::expire(&database.pool(), 30 * DAY, 3).await.unwrap(), 1);
    held.rollback().await.unwrap();
    assert_eq!(route_decision::expire(&database.pool(), 30 * DAY, 9).await.unwrap(), 3);
    assert_eq!(model_call::expire(&database.pool(), 400 * DAY, 9).await.unwrap(), 0);
}
