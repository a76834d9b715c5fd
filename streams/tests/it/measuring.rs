//! The raw bus can be measured beside a coordinator at work.

use maestro_streams::bench::{BusConfig, best_of};
use maestro_streams::fetch::inbox;
use maestro_streams::topology::permission::Role;

use crate::server::Server;
use crate::support::{pool, soon, topology};

#[tokio::test]
async fn a_measurement_disturbs_no_shard_and_leaves_nothing_behind() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    inbox::take(&connection, &topology(), 0, 1).await.expect("taken");
    let before = streams(&connection).await;
    let config = BusConfig {
        coordinator: server.options(&Role::Coordinator),
        worker: server.options(&Role::Worker(pool("bench"))),
        pool: pool("bench"),
        topology: topology(),
        steps: 3_000,
        window: 0,
        batch: 0,
        task_bytes: 600,
        report_bytes: 400,
    };
    let (rate, window, _) = soon(best_of(&config, &[256, 2_000], &[128])).await.expect("measured");
    assert!(rate > 100.0 && window > 0, "{rate} at {window}");
    assert_eq!(streams(&connection).await, before);
    let again = inbox::take(&connection, &topology(), 0, 1).await.expect("still ours");
    assert!(!again.made);
}

async fn streams(connection: &maestro_streams::connect::Connection) -> Vec<String> {
    let mut found = Vec::new();
    for shard in 0..4 {
        let name = maestro_streams::topology::inbox_stream(shard);
        let state = maestro_streams::admin::stream_state(connection, &name).await;
        found.extend(state.expect("an answer").map(|_| name));
    }
    found
}
