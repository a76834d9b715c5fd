//! Jobs by subject: a message becomes a run, or a dead letter with its reason.

use maestro_streams::admin;
use maestro_streams::connect::Connection;
use maestro_streams::publish::{PublishResult, Publisher};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{dead_stream, subject};
use maestro_tests::harness::{Cluster, Scripted, until};
use tokio_util::sync::CancellationToken;

const PIPELINE: &str = "
name: by-subject
stages:
  - name: main
    steps:
      - run: noop
";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_by_subject_becomes_a_run_once_and_a_bad_one_a_dead_letter() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let rows = cluster.rows().await;
    until("the shards' owner", || async {
        let owned: Result<i64, _> =
            sqlx::query_scalar("select count(*) from shard where owner is not null")
                .fetch_one(&rows)
                .await;
        (owned.ok()? == 4).then_some(())
    })
    .await;
    let stop = CancellationToken::new();
    let _api = maestro_cli::service::api::open(
        maestro_cli::service::api::Parts {
            bus: cluster.bus(&Role::Api, "api"),
            database_url: &cluster.postgres.url(),
            objects: cluster.store.clone(),
            metrics: maestro_telemetry::metrics::Metrics::new(),
            router: Default::default(),
            keys: None,
            keyring: Default::default(),
        },
        &stop,
    )
    .await
    .expect("the API opens");
    let worker = cluster.worker("w", 2, Scripted::noop("noop")).await;
    let project = "default".parse().expect("a name");
    let role = Role::Submitter("default".parse().expect("a name"));
    let connection = Connection::open(cluster.bus(&role, "ci")).await.expect("the bus answers");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let body = serde_json::json!({ "pipeline": PIPELINE }).to_string();
    let first =
        publisher.publish_with_id(subject::submit(&project), body.clone().into(), "push-1").await;
    assert_eq!(first, PublishResult::Accepted);
    let again = publisher.publish_with_id(subject::submit(&project), body.into(), "push-1").await;
    assert_eq!(again, PublishResult::AlreadyThere, "the same id was taken twice");
    let garbage = publisher.publish(subject::submit(&project), "{ not json".into()).await;
    assert_eq!(garbage, PublishResult::Accepted);

    // The stream takes any word where a project stands, and who runs the bus may publish it.
    let api = Connection::open(cluster.bus(&Role::Api, "other")).await.expect("the bus answers");
    let api = Publisher::open(&api).await.expect("a publisher");
    let mut letters = cluster.dead_letters().await;
    for nobody in ["maestro.v1.submit.Not-A-Name", "maestro.v1.trigger._.github"] {
        let taken = api.publish(nobody.into(), "{}".into()).await;
        assert_eq!(taken, PublishResult::Accepted);
        let letter = loop {
            let letter = letters.next().await;
            if letter.origin == nobody {
                break letter;
            }
        };
        assert!(letter.reason.contains("no project"), "{}", letter.reason);
    }

    until("the run's end", || async {
        let ended: i64 = sqlx::query_scalar("select count(*) from run where state = 'succeeded'")
            .fetch_one(&rows)
            .await
            .expect("a count");
        (ended == 1).then_some(())
    })
    .await;
    let looking =
        Connection::open(cluster.bus(&Role::Coordinator, "look")).await.expect("the bus answers");
    until("the dead letters", || async {
        let state = admin::stream_state(&looking, &dead_stream()).await.ok()??;
        (state.messages == 3).then_some(())
    })
    .await;
    worker.drain();
    stop.cancel();
    coordinator.stop().await;
}
