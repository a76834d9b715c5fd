//! Probes of endpoints that fail: one per interval, whoever asks.

use std::time::Duration;

use maestro_server::store::probe;

use crate::support::postgres::Database;

const INTERVAL: Duration = Duration::from_secs(40);

async fn take(database: &Database, endpoint: &str) -> Option<Duration> {
    probe::take(&mut database.conn().await, endpoint, INTERVAL).await.unwrap()
}

/// As if the probe had been taken so many seconds ago.
async fn taken_before(database: &Database, seconds: f64) {
    let done = sqlx::query("update probe set taken_at = now() - $1 * interval '1 second'")
        .bind(seconds)
        .execute(&mut database.conn().await)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn a_probe_is_for_one_and_the_others_are_told_how_long_it_is_to_the_next() {
    let database = Database::new().await;
    assert_eq!(take(&database, "openai").await, None);
    let wait = take(&database, "openai").await.unwrap();
    assert!(wait > INTERVAL / 2 && wait <= INTERVAL, "{wait:?}");
    taken_before(&database, 30.0).await;
    let wait = take(&database, "openai").await.unwrap();
    assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(10), "{wait:?}");
    assert_eq!(take(&database, "other").await, None, "each endpoint has its own");
}

#[tokio::test]
async fn the_next_probe_is_there_once_the_interval_is_over() {
    let database = Database::new().await;
    assert_eq!(take(&database, "openai").await, None);
    taken_before(&database, 40.5).await;
    assert_eq!(take(&database, "openai").await, None);
    assert!(take(&database, "openai").await.is_some());
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_takes_it() {
    let database = Database::new().await;
    let pool = database.pool();
    let asked = (0..16).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { probe::take(&pool, "openai", INTERVAL).await.unwrap() })
    });
    let mut taken = 0;
    for asked in asked.collect::<Vec<_>>() {
        taken += usize::from(asked.await.unwrap().is_none());
    }
    assert_eq!(taken, 1);
}
