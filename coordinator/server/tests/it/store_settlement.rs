//! What gateways tell of calls whose worker could not say what they cost, and which calls it settles.

use std::time::Duration;

use maestro_engine::shard::commit::{CallRow, Commit};
use maestro_schemas::api::cost::Settlement;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::step::StepAddress;
use maestro_server::store::settlement;

use crate::support::postgres::Database;
use crate::support::rows::*;

const STEP: StepAddress = StepAddress { node: 0, item: 0, visit: 0 };
const AGE: Duration = Duration::from_secs(3 * 24 * 3_600);

/// A database with one call of the project `demo` that counts at its most of 900, or that cost that.
async fn with_call(settled: bool) -> (Database, ExecutionId) {
    let database = laid_out().await;
    let mut row: CallRow = call_row(RunId::generate(), STEP, 900);
    row.call.settled = settled;
    let execution = row.execution;
    let commit = Commit { calls: vec![row], ..batch(1) };
    database.fold().commit(&commit).await.unwrap();
    (database, execution)
}

async fn tell(database: &Database, project: &str, execution: ExecutionId, cost_microusd: u64) {
    let told =
        Settlement { execution, ordinal: 0, input_tokens: 11, output_tokens: 7, cost_microusd };
    let project = project.parse().unwrap();
    settlement::keep(&mut database.conn().await, &project, &[told]).await.unwrap();
}

async fn apply(database: &Database) -> u64 {
    settlement::apply(&mut database.conn().await, AGE).await.unwrap()
}

/// Tokens, cost, and whether that is known.
async fn call(database: &Database) -> (i64, i64, i64, bool) {
    sqlx::query_as("select input_tokens, output_tokens, cost_microusd, settled from model_call")
        .fetch_one(&mut database.conn().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_call_is_settled_by_the_first_word_about_it_and_the_word_goes() {
    let (database, execution) = with_call(false).await;
    tell(&database, "demo", execution, 40).await;
    tell(&database, "demo", execution, 50).await;
    assert_eq!(apply(&database).await, 1);
    assert_eq!(call(&database).await, (11, 7, 40, true));
    assert_eq!(database.count("settlement").await, 0);
    assert_eq!(apply(&database).await, 0);
}

#[tokio::test]
async fn a_word_of_another_project_settles_nothing_and_takes_no_place() {
    let (database, execution) = with_call(false).await;
    tell(&database, "other", execution, 1).await;
    assert_eq!(apply(&database).await, 0);
    assert_eq!(call(&database).await, (10, 4, 900, false));
    tell(&database, "demo", execution, 40).await;
    assert_eq!(apply(&database).await, 1);
    assert_eq!(call(&database).await, (11, 7, 40, true));
    assert_eq!(database.count("settlement").await, 1, "the other project's stays for its time");
}

#[tokio::test]
async fn a_call_whose_cost_is_known_keeps_it_and_the_word_goes() {
    let (database, execution) = with_call(true).await;
    tell(&database, "demo", execution, 40).await;
    assert_eq!(apply(&database).await, 0);
    assert_eq!(call(&database).await, (10, 4, 900, true));
    assert_eq!(database.count("settlement").await, 0);
}

#[tokio::test]
async fn a_word_about_no_call_waits_for_one_and_goes_once_it_is_old() {
    let database = laid_out().await;
    tell(&database, "demo", ExecutionId::generate(), 40).await;
    let older = async |interval: &str| {
        sqlx::query("update settlement set told_at = now() - $1::text::interval")
            .bind(interval)
            .execute(&mut database.conn().await)
            .await
            .unwrap();
    };
    older("71 hours").await;
    assert_eq!(apply(&database).await, 0);
    assert_eq!(database.count("settlement").await, 1);
    older("73 hours").await;
    assert_eq!(apply(&database).await, 0);
    assert_eq!(database.count("settlement").await, 0);
}
