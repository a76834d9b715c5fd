//! The audit log against a real database: what is done becomes an entry, once, whoever dies when.

use std::sync::Arc;
use std::time::Duration;

use maestro_engine::shard::commit::{AuditRow, Commit};
use maestro_evidence::key::Signer as _;
use maestro_evidence::key::local::LocalKey;
use maestro_evidence::log::checkpoint;
use maestro_evidence::log::hash::{Frontier, leaf};
use maestro_evidence::log::note::NoteKey;
use maestro_evidence::log::path::Head;
use maestro_evidence::log::tile::{Kind, Tile};
use maestro_evidence::store::ArtifactStore;
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::id::{CommandId, RunId};
use maestro_server::background::auditor::{Auditor, Error, OneKey, PAGE, Step};
use maestro_server::store::audit_act::{self, Act};
use maestro_server::store::{audit_entry, audit_log, connect};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::postgres::Database;
use crate::support::rows::*;

struct Place {
    database: Database,
    store: ArtifactStore,
    key: Arc<LocalKey>,
    _directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        let (database, key) = (laid_out().await, Arc::new(LocalKey::generate().unwrap()));
        Self { database, store, key, _directory: directory }
    }

    fn auditor(&self) -> Auditor {
        let options = connect::options(&self.database.url).unwrap();
        let (store, stop) = (self.store.clone(), CancellationToken::new());
        let key = Arc::new(OneKey(self.key.clone()));
        Auditor::new(options, store, key, stop).with_anchor_period(Duration::ZERO)
    }

    /// Folds so many commands.
    async fn command(&self, batch_number: u64, count: u64) {
        let audits = (0..count).map(|number| AuditRow {
            command: CommandId::generate(),
            run: RunId::generate(),
            project: project(),
            actor: format!("ada {number}"),
            action: "cancel".to_owned(),
            answer: CommandAnswer::Accepted,
            at_ms: 1_000 + number,
        });
        let commit = Commit { audits: audits.collect(), ..batch(batch_number) };
        self.database.fold().commit(&commit).await.unwrap();
    }

    async fn act(&self, count: u32) {
        let mut conn = self.database.conn().await;
        for number in 0..count {
            let act = Act {
                project: Some(&project()),
                actor: "grace",
                action: "prompt.label",
                about: Some(format!("review@{number} approved")),
                request: None,
                answer: json!({ "kind": "accepted" }),
            };
            audit_act::record(&mut conn, &act).await.unwrap();
        }
    }

    async fn state(&self) -> audit_log::State {
        audit_log::state(&mut self.database.conn().await).await.unwrap()
    }

    /// The head in object storage, which must be signed, over the bundles there, over the rows.
    async fn checked(&self) -> Head {
        let state = self.state().await;
        let log = self.store.log(&state.origin);
        let bytes = log.get("checkpoint", 1 << 16).await.unwrap().expect("a checkpoint");
        let keys = [self.key.public().clone()];
        let key = NoteKey { name: &state.origin, keys: &keys };
        let head = checkpoint::open(std::str::from_utf8(&bytes).unwrap(), &key).unwrap();
        assert_eq!(head, state.head);
        let (rows, more) =
            audit_entry::rows(&self.database.pool(), (0, head.size), u16::MAX).await.unwrap();
        assert_eq!((rows.len() as u64, more), (head.size, None));
        let mut frontier = Frontier::default();
        for (place, row) in (0u64..).zip(&rows) {
            assert_eq!(row.leaf, place);
            let bundle = Tile::within(Kind::Entries, place / 256, head.size).unwrap();
            let bytes = log.get(&bundle.to_string(), 1 << 24).await.unwrap().expect("a bundle");
            let entry = bundle.entries(&bytes).unwrap()[usize::try_from(place % 256).unwrap()];
            assert_eq!(std::str::from_utf8(entry).unwrap(), row.entry);
            frontier.push(leaf(entry));
            if place % 256 == 255 || place == head.size - 1 {
                let tile = Tile::within(Kind::Hashes(0), place / 256, head.size).unwrap();
                let bytes = log.get(&tile.to_string(), 1 << 14).await.unwrap().expect("a tile");
                assert_eq!(*tile.hashes(&bytes).unwrap().last().unwrap(), leaf(entry));
            }
        }
        assert_eq!(frontier.root(), head.root);
        head
    }
}

#[tokio::test]
async fn what_was_folded_and_what_was_done_is_logged_once_and_in_one_order() {
    let place = Place::new().await;
    let mut auditor = place.auditor();
    assert_eq!(auditor.turn().await.unwrap().map(|logged| logged.size), Some(0));
    place.command(1, 3).await;
    place.act(2).await;
    assert_eq!(auditor.turn().await.unwrap().map(|logged| logged.entries), Some(5));
    let before = place.checked().await;
    assert_eq!(auditor.turn().await.unwrap().map(|logged| logged.entries), Some(0));
    assert_eq!(place.checked().await, before);
    place.command(2, 300).await;
    assert_eq!(auditor.turn().await.unwrap().map(|logged| logged.size), Some(305));
    place.checked().await;
    let log = place.store.log(&place.state().await.origin);
    assert_eq!(
        log.list("tile/0/000.p").await.unwrap(),
        Vec::<String>::new(),
        "narrower tiles stay"
    );
    assert_eq!(log.list("checkpoints").await.unwrap().len(), 2);
    assert_eq!(place.database.count("audit_staged").await, 305 - 256);
}

#[tokio::test]
async fn a_large_backlog_is_logged_in_pages() {
    let place = Place::new().await;
    let count = u64::from(PAGE) * 2 + 7;
    place.command(1, count).await;
    let logged = place.auditor().turn().await.unwrap().unwrap();
    assert_eq!((logged.entries, logged.size, logged.more), (count, count, false));
    place.checked().await;
}

#[tokio::test]
async fn an_auditor_that_dies_after_any_step_leaves_the_same_tree_to_the_next() {
    for last in [Step::Assign, Step::Store, Step::Anchor, Step::Point, Step::Confirm] {
        let place = Place::new().await;
        place.command(1, 250).await;
        place.auditor().turn().await.unwrap().unwrap();
        place.command(2, 20).await;
        let mut dying = place.auditor();
        dying.turn_to(last).await.unwrap().unwrap();
        let order = audit_entry::rows(&place.database.pool(), (0, 1_000), 1_000).await.unwrap();
        drop(dying);
        place.command(3, 5).await;
        let mut next = place.auditor();
        let mut size = 0;
        // Postgres needs a moment to see that the connection is gone.
        while size == 0 {
            size = next.turn().await.unwrap().map_or(0, |logged| logged.size);
            tokio::task::yield_now().await;
        }
        assert_eq!(size, 275, "{last:?}");
        place.checked().await;
        let now = audit_entry::rows(&place.database.pool(), (0, 270), 1_000).await.unwrap();
        assert_eq!(now.0, order.0, "{last:?}: a place was given twice");
    }
}

#[tokio::test]
async fn of_two_auditors_one_audits_and_the_other_takes_over() {
    let place = Place::new().await;
    let (mut one, mut other) = (place.auditor(), place.auditor());
    one.turn().await.unwrap().unwrap();
    place.command(1, 10).await;
    assert_eq!(other.turn().await.unwrap(), None);
    assert_eq!(one.turn().await.unwrap().map(|logged| logged.size), Some(10));
    drop(one);
    place.act(3).await;
    let mut size = None;
    while size.is_none() {
        size = other.turn().await.unwrap().map(|logged| logged.size);
        tokio::task::yield_now().await;
    }
    assert_eq!(size, Some(13));
    place.checked().await;
}

#[tokio::test]
async fn many_auditors_and_many_who_act_make_one_log() {
    let place = Arc::new(Place::new().await);
    let acting = (0..4).map(|_| {
        let place = place.clone();
        tokio::spawn(async move { place.act(60).await })
    });
    let auditing = (0..3).map(|_| {
        let mut auditor = place.auditor();
        tokio::spawn(async move {
            for _ in 0..20 {
                auditor.turn().await.unwrap();
            }
        })
    });
    let all: Vec<_> = acting.chain(auditing).collect();
    for one in all {
        one.await.unwrap();
    }
    let mut last = place.auditor();
    while last.turn().await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(place.checked().await.size, 240);
}

#[tokio::test]
async fn nothing_is_signed_beside_what_was_signed_already() {
    let place = Place::new().await;
    place.command(1, 10).await;
    place.auditor().turn().await.unwrap().unwrap();
    let mut conn = place.database.conn().await;
    // The database as it was before: none of the entries has a place.
    for undo in [
        "update audit set leaf = null",
        "delete from audit_staged",
        "update audit_log set assigned = 0, size = 0, root = sha256(''), checkpoint = null",
    ] {
        sqlx::query(undo).execute(&mut conn).await.unwrap();
    }
    sqlx::query("delete from audit where at_ms < 1005").execute(&mut conn).await.unwrap();
    let refused = loop {
        match place.auditor().turn().await {
            Ok(None) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(refused, Err(Error::RolledBack { signed: 10, assigned: 5 })), "{refused:?}");
    place.act(50).await;
    let refused = loop {
        match place.auditor().turn().await {
            Ok(None) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(refused, Err(Error::Forked { size: 10 })), "{refused:?}");
}

#[tokio::test]
async fn tiles_that_were_changed_are_not_signed_over() {
    let place = Place::new().await;
    place.command(1, 10).await;
    let mut auditor = place.auditor();
    auditor.turn().await.unwrap().unwrap();
    let log = place.store.log(&place.state().await.origin);
    let tile = log.get("tile/0/000.p/10", 1 << 14).await.unwrap().unwrap();
    let mut changed = tile.to_vec();
    changed[40] ^= 1;
    log.put("tile/0/000.p/10", changed).await.unwrap();
    place.act(1).await;
    let refused = auditor.turn().await;
    assert!(matches!(refused, Err(Error::Log(_))), "{refused:?}");
}
