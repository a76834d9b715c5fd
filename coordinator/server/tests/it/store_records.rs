//! What stands beside runs: answers to commands, notices, the catalogue, submissions.

use std::collections::BTreeMap;

use maestro_engine::shard::commit::{AuditRow, Commit, NoticeRow};
use maestro_schemas::action::{ActionInfo, Effect};
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, RunId};
use maestro_server::store::submission::SubmissionRow;
use maestro_server::store::{action, audit, notice, submission};
use serde_json::json;

use crate::support::rows::*;

#[tokio::test]
async fn a_command_keeps_the_answer_that_it_was_folded_with() {
    let database = laid_out().await;
    let refused = CommandAnswer::Refused {
        code: "MAE-3003".to_owned(),
        message: "has \u{0} ended".to_owned(),
    };
    let row = AuditRow {
        command: CommandId::generate(),
        run: RunId::generate(),
        project: project(),
        actor: "ada".to_owned(),
        action: "cancel".to_owned(),
        answer: refused.clone(),
        at_ms: 1_000,
    };
    let command = row.command;
    database.fold().commit(&Commit { audits: vec![row], ..batch(1) }).await.unwrap();
    let mut conn = database.conn().await;
    assert_eq!(audit::answer(&mut conn, command).await.unwrap(), Some(refused.clone()));
    assert_eq!(audit::answer(&mut conn, CommandId::generate()).await.unwrap(), None);
    let both = audit::answers(&mut conn, &[command, CommandId::generate()]).await.unwrap();
    assert_eq!(both, [(command, refused)]);
}

#[tokio::test]
async fn a_notice_stays_until_it_is_confirmed() {
    let database = laid_out().await;
    let notice = |kind: &str| NoticeRow {
        run: RunId::generate(),
        project: project(),
        kind: kind.to_owned(),
        body: json!({ "state": "failed" }),
    };
    let notices = vec![notice("first"), notice("second")];
    database.fold().commit(&Commit { notices, ..batch(1) }).await.unwrap();
    let mut conn = database.conn().await;
    let pending = notice::pending(&mut conn, 10).await.unwrap();
    assert_eq!(
        pending.iter().map(|notice| notice.kind.as_str()).collect::<Vec<_>>(),
        ["first", "second"]
    );
    notice::confirm(&mut conn, &[pending[0].id]).await.unwrap();
    let left = notice::pending(&mut conn, 10).await.unwrap();
    assert_eq!(left, pending[1..]);
}

#[tokio::test]
async fn the_catalogue_holds_the_last_word_on_each_action() {
    let database = laid_out().await;
    let mut conn = database.conn().await;
    let info = |version: &str| ActionInfo {
        name: "shell".to_owned(),
        version: version.to_owned(),
        pool: "build".parse().unwrap(),
        summary: "Runs a command.".to_owned(),
        effect: Effect::Idempotent,
        with_schema: json!({}),
    };
    action::announce(&mut conn, &[info("1"), info("1")]).await.unwrap();
    action::announce(&mut conn, &[info("2")]).await.unwrap();
    let catalogue = action::catalogue(&mut conn).await.unwrap();
    assert_eq!(catalogue.actions, BTreeMap::from([("shell".to_owned(), info("2"))]));
}

#[tokio::test]
async fn of_many_submissions_under_one_key_one_stands() {
    let database = laid_out().await;
    let pool = database.pool();
    let row = || SubmissionRow {
        project: project(),
        idempotency_key: "key".to_owned(),
        request_digest: Digest::of(b"request"),
        run: RunId::generate(),
        command: CommandId::generate(),
        shard: 3,
        plan: plan().digest(),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        rerun: None,
        actor: "ada".to_owned(),
    };
    let tries = (0..10).map(|_| {
        let (pool, row) = (pool.clone(), row());
        async move { submission::store(&pool, &row).await.unwrap() }
    });
    let stored = futures::future::join_all(tries).await;
    assert_eq!(stored.iter().filter(|(_, stood)| !stood).count(), 1);
    assert!(stored.iter().all(|(row, _)| row.run == stored[0].0.run));
    let found = submission::of_run(&pool, &project(), stored[0].0.run).await.unwrap();
    assert_eq!(found.as_ref(), Some(&stored[0].0));
}
