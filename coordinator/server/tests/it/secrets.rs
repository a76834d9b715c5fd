//! Secrets over HTTP, where they are kept, and over the bus, where executions get them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::Commit;
use maestro_evidence::secret::key_file::KeyFile;
use maestro_evidence::secret::seal::Opener;
use maestro_schemas::api::problem::Problem;
use maestro_schemas::api::secrets::{
    SecretDeliveries, SecretPage, SecretState, SecretVersion, SecretsRevoked, SecretsRewrapped,
};
use maestro_schemas::codec;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::plan::Plan;
use maestro_schemas::secret::{SecretsAnswer, SecretsQuestion};
use maestro_schemas::step::StepAddress;
use maestro_server::store;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use reqwest::{Method, Response, StatusCode};

use crate::support::rows::*;
use crate::support::stack::{Stack, read};

const SECRETS: &str = "/v1/projects/demo/secrets";

async fn give(stack: &Stack, method: Method, place: &str, value: &[u8]) -> Response {
    let path = format!("{SECRETS}/{place}");
    stack.request(method, &path).body(value.to_vec()).send().await.unwrap()
}

async fn set(stack: &Stack, name: &str, value: &[u8]) -> SecretVersion {
    read(give(stack, Method::PUT, name, value).await, StatusCode::CREATED).await
}

async fn rotate(stack: &Stack, name: &str, value: &[u8], grace_ms: u64) -> SecretVersion {
    let place = format!("{name}/rotate?grace_ms={grace_ms}");
    read(give(stack, Method::POST, &place, value).await, StatusCode::CREATED).await
}

async fn revoke(stack: &Stack, place: &str) -> Response {
    give(stack, Method::DELETE, place, b"").await
}

async fn code(answer: Response, status: u16) -> String {
    let problem: Problem = read(answer, StatusCode::from_u16(status).unwrap()).await;
    assert!(!problem.detail.contains("hunter"), "{}", problem.detail);
    problem.code
}

async fn states(stack: &Stack) -> Vec<(String, SecretState)> {
    let page: SecretPage = stack.get(SECRETS).await;
    let versions = page.versions.into_iter();
    versions.map(|one| (format!("{}@{}", one.name, one.version), one.state)).collect()
}

/// A live attempt of a step that declares these secrets, sent to the pool `build`.
async fn live(stack: &Stack, secrets: serde_json::Value) -> RunId {
    let run = RunId::generate();
    let mut plan: Plan = plan_named(&run.to_string()).plan().clone();
    plan.nodes[0].secrets = serde_json::from_value(secrets).unwrap();
    let plan = CheckedPlan::check(plan).unwrap();
    store::plan::store(&mut stack.database.conn().await, &project(), &plan).await.unwrap();
    let begun = maestro_engine::shard::commit::RunRow { plan: plan.digest(), ..run_row(run) };
    let mut rows = batch(1);
    let batch: i64 = sqlx::query_scalar("select batch from shard where id = 0")
        .fetch_one(&mut stack.database.conn().await)
        .await
        .unwrap();
    rows.shards[0].batch = u64::try_from(batch).unwrap() + 1;
    let commit = Commit {
        runs_begun: vec![begun],
        dispatched: vec![dispatch_row(run, StepAddress::node(0), 1)],
        ..rows
    };
    stack.database.fold().commit(&commit).await.unwrap();
    run
}

fn question(run: RunId, opener: &Opener, secrets: &[&str]) -> SecretsQuestion {
    SecretsQuestion {
        run,
        step: StepAddress::node(0),
        token: token(1),
        execution: ExecutionId::generate(),
        secrets: secrets.iter().map(|secret| secret.parse().unwrap()).collect(),
        key: opener.public().to_vec(),
    }
}

async fn ask(stack: &Stack, question: &SecretsQuestion) -> SecretsAnswer {
    let worker = stack.nats.connect(&Role::Worker("build".parse().unwrap())).await;
    let bytes = codec::encode(question).unwrap();
    let to = subject::secrets(&"build".parse().unwrap());
    let answer = worker.request(to, bytes.into(), Duration::from_secs(5)).await.unwrap();
    codec::decode(&answer).unwrap()
}

async fn value(stack: &Stack, run: RunId, secret: &str) -> Result<(u32, Vec<u8>), String> {
    let opener = Opener::generate();
    let question = question(run, &opener, &[secret]);
    match ask(stack, &question).await {
        SecretsAnswer::Sealed { secrets } => {
            let value = opener.open(&question, &secrets[0]).unwrap();
            Ok((secrets[0].version, value.to_vec()))
        }
        SecretsAnswer::Refused { code, .. } => Err(code),
    }
}

#[tokio::test]
async fn versions_follow_one_another_and_what_is_revoked_is_deleted() {
    let stack = Stack::without_coordinator().await;
    assert_eq!(
        code(give(&stack, Method::POST, "token/rotate", b"hunter2!").await, 404).await,
        "MAE-7052"
    );
    let first = set(&stack, "token", b"hunter2!").await;
    assert_eq!((first.version, first.created_by.as_str()), (1, "ada"));
    assert_eq!(code(give(&stack, Method::PUT, "token", b"hunter3!").await, 409).await, "MAE-7051");
    rotate(&stack, "token", b"hunter3!", 60_000).await;
    rotate(&stack, "token", b"hunter4!", 0).await;
    set(&stack, "other", b"hunter5!").await;
    use SecretState::{Current, Previous, Revoked};
    let expected =
        [("other@1", Current), ("token@3", Current), ("token@2", Revoked), ("token@1", Previous)];
    assert_eq!(states(&stack).await, expected.map(|(name, state)| (name.to_owned(), state)));

    let gone: SecretsRevoked = read(revoke(&stack, "token/versions/1").await, StatusCode::OK).await;
    assert_eq!(gone.versions, 1);
    assert_eq!(code(revoke(&stack, "token/versions/1").await, 404).await, "MAE-7052");
    assert_eq!(code(revoke(&stack, "nobody").await, 404).await, "MAE-7052");
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from secret_version where state = 'revoked'
            and num_nonnulls(kek, wrapped_key, nonce, ciphertext) > 0",
    )
    .fetch_one(&mut stack.database.conn().await)
    .await
    .unwrap();
    assert_eq!(kept, 0);
    let gone: SecretsRevoked = read(revoke(&stack, "token").await, StatusCode::OK).await;
    assert_eq!(gone.versions, 1);
    assert_eq!(set(&stack, "token", b"hunter6!").await.version, 4);
}

#[tokio::test]
async fn lists_come_in_pages_and_no_route_gives_a_value() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "b", b"hunter2!").await;
    rotate(&stack, "b", b"hunter3!", 60_000).await;
    set(&stack, "a", b"hunter4!").await;
    let (mut seen, mut path) = (Vec::new(), format!("{SECRETS}?limit=1"));
    loop {
        let text: serde_json::Value = stack.get(&path).await;
        assert!(!text.to_string().contains("hunter"), "{text}");
        let page: SecretPage = serde_json::from_value(text).unwrap();
        seen.extend(page.versions.iter().map(|one| format!("{}@{}", one.name, one.version)));
        match page.next {
            Some(next) => path = format!("{SECRETS}?limit=1&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a@1", "b@2", "b@1"]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let stack = Stack::without_coordinator().await;
    let large = vec![b'x'; (64 << 10) + 1];
    let huge = vec![b'x'; 1 << 20];
    for value in [&b""[..], b"short", b"  pad  \n", &large, &huge] {
        let answer = give(&stack, Method::PUT, "token", value).await;
        assert_eq!(code(answer, 422).await, "MAE-7050", "{} bytes", value.len());
    }
    assert_eq!(
        code(give(&stack, Method::PUT, "To%20ken", b"hunter2!").await, 400).await,
        "MAE-2007"
    );
    let long = format!("token/rotate?grace_ms={}", 31_u64 * 24 * 3_600_000);
    assert_eq!(code(give(&stack, Method::POST, &long, b"hunter2!").await, 400).await, "MAE-2007");
    set(&stack, "token", &large[1..]).await;
}

#[tokio::test]
async fn an_execution_gets_what_its_step_declares_and_which_version_stays_known() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    let run = live(&stack, serde_json::json!({ "TOKEN": { "secret": { "name": "token" } } })).await;
    let fixed = serde_json::json!({ "TOKEN": { "secret": { "name": "token", "version": 1 } } });
    let fixed = live(&stack, fixed).await;
    assert_eq!(value(&stack, run, "token").await, Ok((1, b"hunter2!".to_vec())));
    rotate(&stack, "token", b"hunter3!", 60_000).await;
    assert_eq!(value(&stack, run, "token").await, Ok((2, b"hunter3!".to_vec())));
    assert_eq!(value(&stack, fixed, "token@1").await, Ok((1, b"hunter2!".to_vec())));
    let used: SecretDeliveries = stack.get(&format!("/v1/projects/demo/runs/{run}/secrets")).await;
    let versions: Vec<u32> = used.deliveries.iter().map(|one| one.version).collect();
    assert_eq!(versions, [2, 1]);
    revoke(&stack, "token/versions/1").await;
    assert_eq!(value(&stack, fixed, "token@1").await, Err("MAE-7052".to_owned()));
}

#[tokio::test]
async fn a_replaced_version_is_given_out_no_longer_than_its_grace() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    let fixed = serde_json::json!({ "TOKEN": { "secret": { "name": "token", "version": 1 } } });
    let run = live(&stack, fixed).await;
    rotate(&stack, "token", b"hunter3!", 3_600_000).await;
    assert!(value(&stack, run, "token@1").await.is_ok());
    sqlx::query("update secret_version set readable_until = now() where version = 1")
        .execute(&mut stack.database.conn().await)
        .await
        .unwrap();
    assert_eq!(value(&stack, run, "token@1").await, Err("MAE-7052".to_owned()));
    let pool = stack.database.pool();
    assert_eq!(store::secret::expire(&pool, 10).await.unwrap(), 1);
    assert_eq!(states(&stack).await[1].1, SecretState::Revoked);
}

#[tokio::test]
async fn nobody_gets_what_is_not_theirs() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    set(&stack, "other", b"hunter3!").await;
    let run = live(&stack, serde_json::json!({ "TOKEN": { "secret": { "name": "token" } } })).await;
    let bare = live(&stack, serde_json::json!({})).await;
    let opener = Opener::generate();
    let good = question(run, &opener, &["token"]);
    let wrong = [
        ("more than it declares", question(run, &opener, &["token", "other"])),
        ("another", question(run, &opener, &["other"])),
        ("the same twice", question(run, &opener, &["token", "token"])),
        ("another version", question(run, &opener, &["token@1"])),
        ("nothing", question(run, &opener, &[])),
        ("of a step without", question(bare, &opener, &["token"])),
        ("of no run", question(RunId::generate(), &opener, &["token"])),
        ("another attempt", SecretsQuestion { token: token(2), ..good.clone() }),
        ("another step", SecretsQuestion { step: StepAddress::node(2), ..good.clone() }),
        ("for no key", SecretsQuestion { key: vec![7; 3], ..good.clone() }),
    ];
    for (what, question) in wrong {
        match ask(&stack, &question).await {
            SecretsAnswer::Refused { code, transient, .. } => {
                assert_eq!((code.as_str(), transient), ("MAE-7055", false), "{what}");
            }
            SecretsAnswer::Sealed { .. } => panic!("{what} was given"),
        }
    }
    assert!(matches!(ask(&stack, &good).await, SecretsAnswer::Sealed { .. }));
    // The broker drops what a worker sends to another pool's place.
    let bytes = codec::encode(&good).unwrap();
    let other = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    let to = subject::secrets(&"build".parse().unwrap());
    assert!(other.request(to, bytes.clone().into(), Duration::from_secs(1)).await.is_err());
    // And an attempt of another pool is refused at one's own.
    let own = subject::secrets(&"llm".parse().unwrap());
    let answer = other.request(own, bytes.into(), Duration::from_secs(5)).await.unwrap();
    let SecretsAnswer::Refused { code, .. } = codec::decode(&answer).unwrap() else { panic!() };
    assert_eq!(code, "MAE-7055");
}

#[tokio::test]
async fn keys_are_wrapped_anew_in_pages_and_the_former_key_is_not_needed_then() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    for number in 0..149 {
        set(&stack, &format!("n{number}"), b"hunter3!").await;
    }
    let former = KeyFile::ids(&stack.key_file).unwrap().remove(0);
    KeyFile::rotate(&stack.key_file).unwrap();
    let rewrap = async || {
        let path = "/v1/projects/demo/secret-keys/rewrap";
        let answer = stack.request(Method::POST, path).send().await.unwrap();
        let page: SecretsRewrapped = read(answer, StatusCode::OK).await;
        (page.wrapped, page.left)
    };
    // Whoever is stopped between two pages goes on with what is left.
    assert_eq!(rewrap().await, (100, 50));
    assert_eq!(rewrap().await, (50, 0));
    assert_eq!(rewrap().await, (0, 0));
    KeyFile::retire(&stack.key_file, &former).unwrap();
    let run = live(&stack, serde_json::json!({ "TOKEN": { "secret": { "name": "token" } } })).await;
    assert_eq!(value(&stack, run, "token").await, Ok((1, b"hunter2!".to_vec())));
}

#[tokio::test]
async fn a_row_in_the_place_of_another_does_not_decrypt() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    set(&stack, "other", b"hunter3!").await;
    sqlx::query(
        "update secret_version v set wrapped_key = o.wrapped_key, nonce = o.nonce, ciphertext = o.ciphertext
           from secret_version o where v.name = 'token' and o.name = 'other'",
    )
    .execute(&mut stack.database.conn().await)
    .await
    .unwrap();
    let run = live(&stack, serde_json::json!({ "TOKEN": { "secret": { "name": "token" } } })).await;
    assert_eq!(value(&stack, run, "token").await, Err("MAE-7056".to_owned()));
    // What cannot be unwrapped keeps nothing else from being wrapped anew.
    let made = KeyFile::rotate(&stack.key_file).unwrap();
    let path = "/v1/projects/demo/secret-keys/rewrap";
    let answer = stack.request(Method::POST, path).send().await.unwrap();
    let page: SecretsRewrapped = read(answer, StatusCode::OK).await;
    assert_eq!((page.wrapped, page.left, page.lost), (1, 1, 1));
    let listed: SecretPage = stack.get(SECRETS).await;
    let wrapped: Vec<_> = listed.versions.iter().map(|one| one.kek == Some(made.clone())).collect();
    assert_eq!(wrapped, [true, false], "{listed:?}");
}

#[tokio::test]
async fn keys_that_may_not_be_used_are_refused_for_good() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    let run = live(&stack, serde_json::json!({ "TOKEN": { "secret": { "name": "token" } } })).await;
    std::fs::set_permissions(&stack.key_file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(value(&stack, run, "token").await, Err("MAE-7061".to_owned()));
    assert_eq!(code(give(&stack, Method::PUT, "other", b"hunter2!").await, 500).await, "MAE-7061");
}

#[tokio::test]
async fn those_who_rotate_at_once_make_a_version_each() {
    let stack = Stack::without_coordinator().await;
    set(&stack, "token", b"hunter2!").await;
    let next = || rotate(&stack, "token", b"hunter3!", 60_000);
    let (one, two, three) = tokio::join!(next(), next(), next());
    let mut made = [one.version, two.version, three.version];
    made.sort_unstable();
    assert_eq!(made, [2, 3, 4]);
}
