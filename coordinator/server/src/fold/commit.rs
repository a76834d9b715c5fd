//! Writes commits, one at a time, on a connection of their own.

use std::sync::Arc;

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::{Completion, Landing};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;

use crate::store::connect::FoldConnection;

/// A commit to write.
pub(super) struct Order(pub(super) Arc<Commit>);

/// Starts the writer; it ends when its orders end.
pub(super) fn start(
    database: PgConnectOptions,
    tell: mpsc::Sender<Completion>,
) -> mpsc::Sender<Order> {
    let (orders, mut inbox) = mpsc::channel::<Order>(2);
    tokio::spawn(async move {
        let mut connection = FoldConnection::new(database);
        while let Some(Order(commit)) = inbox.recv().await {
            let landing = match connection.commit(&commit).await {
                Ok(landing) => landing,
                Err(error) => {
                    tracing::error!(%error, "a commit does not fit the rows; its shards are taken anew");
                    Landing::Refused
                }
            };
            if let Landing::Unacceptable(reason) = &landing {
                tracing::warn!(reason, "the database takes a value of the batch for no data");
            }
            if tell.send(Completion::Committed(landing)).await.is_err() {
                return;
            }
        }
    });
    orders
}
