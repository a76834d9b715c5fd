//! A shard has one owner, and whoever takes it does so under a new epoch.

use maestro_engine::shard::request::Landing;
use maestro_schemas::id::CoordinatorId;
use maestro_server::store::{self, shard};

use crate::support::postgres::Database;
use crate::support::rows::{batch, laid_out};

#[tokio::test]
async fn the_number_of_shards_is_fixed_by_who_comes_first() {
    let database = Database::new().await;
    let mut conn = database.conn().await;
    shard::ensure_shards(&mut conn, 4).await.unwrap();
    shard::ensure_shards(&mut conn, 4).await.unwrap();
    let other = shard::ensure_shards(&mut conn, 8).await.unwrap_err();
    assert!(other.to_string().contains("4 shards, and 8"), "{other}");
    assert_eq!(shard::count(&mut conn).await.unwrap(), 4);
}

#[tokio::test]
async fn one_of_many_takes_a_free_shard() {
    let database = Database::new().await;
    shard::ensure_shards(&mut database.conn().await, 1).await.unwrap();
    let pool = database.pool();
    let tries = (0..8).map(|number| {
        let pool = pool.clone();
        async move {
            shard::acquire(&pool, 0, &format!("node-{number}"), CoordinatorId::generate())
                .await
                .unwrap()
        }
    });
    let taken: Vec<_> = futures::future::join_all(tries).await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].epoch, 1);
}

#[tokio::test]
async fn a_shard_comes_back_to_its_name_at_once_and_to_others_when_it_expires_or_is_freed() {
    let database = laid_out().await;
    let mut conn = database.conn().await;
    let me = CoordinatorId::generate();
    assert!(shard::acquire(&mut conn, 0, "two", me).await.unwrap().is_none());
    assert_eq!(shard::acquire(&mut conn, 0, "one", me).await.unwrap().unwrap().epoch, 2);
    assert!(!shard::release(&mut conn, 0, 1).await.unwrap());
    assert!(shard::release(&mut conn, 0, 2).await.unwrap());
    assert_eq!(shard::acquire(&mut conn, 0, "two", me).await.unwrap().unwrap().epoch, 3);
    sqlx::query("update shard set expires_at = clock_timestamp()")
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!(shard::acquire(&mut conn, 0, "three", me).await.unwrap().unwrap().epoch, 4);
}

#[tokio::test]
async fn a_former_owners_commit_is_refused_after_the_take_over() {
    let database = laid_out().await;
    let mut fold = database.fold();
    assert_eq!(fold.commit(&batch(1)).await.unwrap(), Landing::Done);
    let taken = shard::acquire(&mut database.conn().await, 0, "one", CoordinatorId::generate())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.epoch, taken.batch, taken.clock_ms), (2, 1, 1_000));
    assert_eq!(fold.commit(&batch(2)).await.unwrap(), Landing::Refused);
    assert_eq!(fold.commit(&batch(1)).await.unwrap(), Landing::Refused);
}

#[tokio::test]
async fn a_shard_of_newer_rows_is_left_alone() {
    let database = Database::new().await;
    let mut conn = database.conn().await;
    shard::ensure_shards(&mut conn, 1).await.unwrap();
    sqlx::query("update shard set version = 9").execute(&mut conn).await.unwrap();
    assert!(
        shard::acquire(&mut conn, 0, "one", CoordinatorId::generate()).await.unwrap().is_none()
    );
}

#[tokio::test]
async fn who_was_seen_lately_lives() {
    let database = Database::new().await;
    let mut conn = database.conn().await;
    let (one, two) = (CoordinatorId::generate(), CoordinatorId::generate());
    store::coordinator::announce(&mut conn, "one", CoordinatorId::generate()).await.unwrap();
    store::coordinator::announce(&mut conn, "one", one).await.unwrap();
    store::coordinator::announce(&mut conn, "two", two).await.unwrap();
    store::coordinator::leave(&mut conn, "two", two).await.unwrap();
    let live =
        store::coordinator::list(&mut conn, std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!(
        live.iter().map(|who| (who.name.as_str(), who.incarnation)).collect::<Vec<_>>(),
        [("one", one)]
    );
}
