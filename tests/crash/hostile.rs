//! Garbage on every subject that the API's and a worker's users may publish to.

use std::collections::BTreeMap;

use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::{Command, CommandKind, Submission};
use maestro_schemas::digest::Digest;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::{CommandId, ExecutionId, RunId, WorkerId};
use maestro_schemas::outcome::Outcome;
use maestro_schemas::report::{Report, Usage};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_streams::connect::Connection;
use maestro_streams::publish::{PublishResult, Publisher};
use maestro_streams::topology::{Role, inbox_stream, subject};
use maestro_streams::{Subject, admin};
use maestro_tests::harness::{SCRIPTED_POOL, plan_of, until};

use crate::scene::Scene;

/// Bytes that are no message of any kind.
fn garbage() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        b"hello".to_vec(),
        b"{\"v\":1,\"body\":{}}".to_vec(),
        vec![0xff; 4_096],
        // Lists in lists, deeper than any stack.
        vec![0x91; 200_000],
        // A map that says it has 2^32-1 entries.
        vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        // As long as a message may be, so that it is too long with a reason beside it.
        vec![0u8; codec::MESSAGE_BYTES_MAX],
    ]
}

struct Mallory {
    connection: Connection,
    publisher: Publisher,
}

impl Mallory {
    async fn come(scene: &Scene, role: &Role) -> Self {
        let connection =
            Connection::open(scene.cluster.bus(role, "mallory")).await.expect("the bus answers");
        let publisher = Publisher::open(&connection).await.expect("a publisher");
        Self { connection, publisher }
    }

    /// Publishes to a stream that takes it.
    async fn publish(&self, subject: &str, bytes: Vec<u8>) {
        let result = self.publisher.publish(Subject::from(subject), bytes.into()).await;
        assert_eq!(result, PublishResult::Accepted, "{subject}");
    }

    /// Publishes where nobody confirms.
    async fn say(&self, subject: &str, bytes: Vec<u8>) {
        self.connection.tell(Subject::from(subject), bytes.into()).await;
    }
}

fn worker_role() -> Role {
    Role::Worker(SCRIPTED_POOL.parse().expect("a name"))
}

fn report(run: RunId, step: StepAddress, token: AttemptToken) -> Vec<u8> {
    let message = InboxMessage::Reports(vec![Report {
        run,
        step,
        token,
        execution: ExecutionId::generate(),
        worker: WorkerId::generate(),
        pool: SCRIPTED_POOL.parse().expect("a name"),
        outcome: Outcome::succeeded(),
        usage: Usage { wall_ms: u64::MAX, cpu_ms: u64::MAX, cost_microusd: u64::MAX },
        calls: Vec::new(),
    }]);
    codec::encode(&message).expect("a message")
}

/// A second submission of a run, or one of nothing, by an actor whose name may be no text for a row.
fn submission(run: RunId, actor: &str) -> Vec<u8> {
    let ask = CommandKind::Submit(Submission {
        plan: Digest::of(b"none"),
        labels: BTreeMap::new(),
        rerun: None,
    });
    let message = InboxMessage::Command(Box::new(Command {
        id: CommandId::generate(),
        run,
        project: "default".parse().expect("a name"),
        actor: actor.to_owned(),
        answer_to: Some("maestro.v1.task.noop.p1.x".into()),
        ask,
    }));
    codec::encode(&message).expect("a message")
}

/// Waits until nothing is left in any inbox: what cannot be folded stays in nobody's way.
async fn check_inboxes_empty(scene: &Scene) {
    let role = Role::Coordinator;
    let connection =
        Connection::open(scene.cluster.bus(&role, "look")).await.expect("the bus answers");
    for shard in 0..4 {
        until("an empty inbox", || async {
            let state = admin::stream_state(&connection, &inbox_stream(shard)).await.ok()??;
            (state.messages == 0).then_some(())
        })
        .await;
    }
}

/// Subjects of inboxes that the two users may publish to, by whom.
fn inbox_subjects(shard: u16, run: RunId) -> (Vec<String>, Vec<String>) {
    let (root, run) = (format!("maestro.v1.inbox.{shard}"), run.token());
    let worker = ["report", "claim"].into_iter().flat_map(|kind| {
        [run.as_str(), "_", "x", "00000000"]
            .map(|run| format!("{root}.{kind}.{SCRIPTED_POOL}.{run}"))
    });
    let api = [run.as_str(), "_", "x"].map(|run| format!("{root}.command.{run}"));
    (worker.collect(), api.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_every_inbox_and_on_every_door_becomes_dead_letters_with_reasons_and_stops_no_run()
 {
    let scene = Scene::set(&["one"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let mut letters = scene.cluster.dead_letters().await;
    let (worker, api) =
        (Mallory::come(&scene, &worker_role()).await, Mallory::come(&scene, &Role::Api).await);
    let run = scene.half_way(1).await;
    let mut published = Vec::new();
    for subject in ["maestro.v1.submit.default", "maestro.v1.trigger.default.x"] {
        for bytes in garbage() {
            api.publish(subject, bytes).await;
            published.push(subject.to_owned());
        }
    }
    for shard in 0..4 {
        let (workers, apis) = inbox_subjects(shard, run);
        let both = workers.iter().map(|s| (&worker, s)).chain(apis.iter().map(|s| (&api, s)));
        for (mallory, subject) in both {
            for bytes in garbage() {
                mallory.publish(subject, bytes).await;
                published.push(subject.clone());
            }
        }
    }
    scene.check_equal(run, &undisturbed).await;
    let mut buried = Vec::new();
    while buried.len() < published.len() {
        let letter = letters.next().await;
        assert!(!letter.reason.is_empty(), "no reason for {}", letter.origin);
        buried.push(letter.origin);
    }
    check_inboxes_empty(&scene).await;
    buried.sort_unstable();
    published.sort_unstable();
    assert_eq!(buried, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_say_what_their_sender_may_not_say_change_nothing_and_stop_no_run() {
    let scene = Scene::set(&["one"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let (worker, api) =
        (Mallory::come(&scene, &worker_role()).await, Mallory::come(&scene, &Role::Api).await);
    let run = scene.half_way(1).await;
    let mut letters = scene.cluster.dead_letters().await;
    let mut forged = 0;
    let steps = [
        StepAddress::node(0),
        StepAddress::node(u32::MAX),
        StepAddress::item(0, u32::MAX),
        StepAddress { node: 0, item: 1, visit: u32::MAX },
    ];
    for shard in 0..4u16 {
        let stranger = RunId::generate();
        // What is no text for a row sets its run aside, so it is said of a stranger only.
        for (of, actor) in [(run, "mallory\n"), (stranger, "mallory\u{0}")] {
            for step in steps {
                for number in [0, 2, u32::MAX] {
                    for epoch in [0, 1_000_000, u64::MAX] {
                        let subject = format!(
                            "maestro.v1.inbox.{shard}.report.{SCRIPTED_POOL}.{}",
                            of.token()
                        );
                        worker
                            .publish(&subject, report(of, step, AttemptToken { number, epoch }))
                            .await;
                        forged += usize::from(epoch > 0);
                    }
                }
            }
            let command = format!("maestro.v1.inbox.{shard}.command.{}", of.token());
            api.publish(&command, submission(of, actor)).await;
            api.publish(&command, submission(RunId::generate(), actor)).await;
            forged += 1;
        }
    }
    scene.check_equal(run, &undisturbed).await;
    for shard in 0..4 {
        let next = scene.half_way(shard).await;
        scene.check_equal(next, &undisturbed).await;
    }
    for _ in 0..forged {
        let letter = letters.next().await;
        assert!(!letter.reason.is_empty(), "no reason for {}", letter.origin);
    }
    check_inboxes_empty(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_what_may_be_lost_changes_nothing() {
    let scene = Scene::set(&["one"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let (worker, api) =
        (Mallory::come(&scene, &worker_role()).await, Mallory::come(&scene, &Role::Api).await);
    let run = scene.half_way(1).await;
    let id = WorkerId::generate();
    let pool = SCRIPTED_POOL.parse().expect("a name");
    let boast = Heartbeat {
        worker: id,
        name: "x".repeat(10_000),
        pool,
        slots: u32::MAX,
        draining: false,
        leaving: false,
        actions: None,
        sandbox: None,
        running: Vec::new(),
    };
    let heartbeat = subject::heartbeat(&boast.pool, id).to_string();
    for bytes in garbage().into_iter().chain([codec::encode(&boast).expect("a message")]) {
        for subject in [
            format!("maestro.v1.heartbeat.{SCRIPTED_POOL}.x"),
            heartbeat.clone(),
            format!("maestro.v1.log.{SCRIPTED_POOL}.{}.0.1.x", run.token()),
            format!("maestro.v1.log.{SCRIPTED_POOL}.x"),
            format!("maestro.v1.dead.task.{SCRIPTED_POOL}"),
            format!("$JS.API.CONSUMER.MSG.NEXT.MAESTRO_TASK_{}.p1", SCRIPTED_POOL.to_uppercase()),
            format!("$JS.ACK.MAESTRO_TASK_{}.p1.1.1.1.0.0", SCRIPTED_POOL.to_uppercase()),
        ] {
            worker.say(&subject, bytes.clone()).await;
        }
        for subject in [
            "maestro.v1.rpc.run.why",
            "maestro.v1.rpc.x.y",
            "maestro.v1.inbox.9.command.x",
            "maestro.v1.trigger.default.x",
        ] {
            api.say(subject, bytes.clone()).await;
        }
    }
    scene.check_equal(run, &undisturbed).await;
    let next = scene.half_way(3).await;
    scene.check_equal(next, &undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_no_worker_of_the_pool_serves_fails_by_itself_only() {
    let scene = Scene::set(&["one"], 1).await;
    let plan = plan_of(&[("a", SCRIPTED_POOL, "no-such-action", &[])]);
    let run = scene.cluster.submit(plan, 0).await;
    assert_eq!(scene.cluster.ended(&scene.rows, run).await, "failed");
    scene.undisturbed().await;
}
