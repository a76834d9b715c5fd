//! The list of keys, as whoever verifies asks for it.

use std::time::Duration;

use maestro_evidence::key::home::Home;
use maestro_evidence::key::next::Next;
use maestro_evidence::key::ring::Trust;
use maestro_server::notary::keys::Keys;
use maestro_server::store::key_ring::{self, List};
use reqwest::{Method, StatusCode};

use crate::support::stack::Stack;

const WORD: &str = "correct horse";
const HOUR: Duration = Duration::from_secs(3_600);

/// A directory of keys.
struct Kept {
    home: Home,
    directory: tempfile::TempDir,
}

impl Kept {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("keys"));
        home.init(WORD, &Next::made(WORD).unwrap(), HOUR).await.unwrap();
        Self { home, directory }
    }

    fn keys(&self) -> Keys {
        Keys::of(self.home.clone(), WORD.to_owned().into())
    }

    /// Revokes the first key.
    async fn revoke(&self) {
        let first = self.home.signer(WORD).unwrap().public().fingerprint().to_hex();
        self.home.rotate(WORD, &Next::made(WORD).unwrap(), HOUR, HOUR).await.unwrap();
        self.home.revoke(WORD, &first, "lost").await.unwrap();
    }

    fn list(&self) -> List {
        self.keys().list().unwrap().unwrap()
    }

    fn set(&self, bytes: &[u8]) {
        std::fs::write(self.directory.path().join("keys/keys.json"), bytes).unwrap();
    }
}

async fn asked(stack: &Stack) -> (StatusCode, Vec<u8>) {
    let answer = stack.request(Method::GET, "/v1/keys").send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

fn is_revoked(bytes: &[u8]) -> bool {
    let trust = Trust::open(bytes, None).unwrap();
    trust.ring().keys.iter().any(|key| key.revoked.is_some())
}

#[tokio::test]
async fn the_list_of_keys_is_the_one_of_now_though_nothing_was_signed_since() {
    let kept = Kept::new().await;
    let stack = Stack::with_keys(kept.keys()).await;
    let (status, former) = asked(&stack).await;
    assert_eq!((status, is_revoked(&former)), (StatusCode::OK, false));
    kept.revoke().await;
    assert_eq!(asked(&stack).await, (StatusCode::OK, kept.list().bytes));
    assert!(is_revoked(&asked(&stack).await.1));
}

#[tokio::test]
async fn an_older_list_takes_the_place_of_no_newer_one() {
    let kept = Kept::new().await;
    let stack = Stack::with_keys(kept.keys()).await;
    let former = kept.list();
    kept.revoke().await;
    let (newer, pool) = (kept.list(), stack.database.pool());
    for list in [&newer, &former] {
        key_ring::put(&pool, list).await.unwrap();
        let found = key_ring::find(&pool).await.unwrap().unwrap();
        assert_eq!(found.bytes, newer.bytes);
    }
    // A directory that was set back is not believed before what was known already.
    kept.set(&former.bytes);
    assert_eq!(asked(&stack).await, (StatusCode::OK, newer.bytes));
    // And one that cannot be read is not passed over.
    kept.set(b"{}");
    let (status, said) = asked(&stack).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("the list of keys cannot be read now"), "{said}");
}

#[tokio::test]
async fn a_row_that_nobody_signed_is_no_list_of_keys() {
    let (kept, stack) = (Kept::new().await, Stack::without_coordinator().await);
    let pool = stack.database.pool();
    assert_eq!(asked(&stack).await.0, StatusCode::NOT_FOUND);
    let mut forged = kept.list();
    forged.bytes = String::from_utf8(forged.bytes).unwrap().replace("payload", "Payload").into();
    key_ring::put(&pool, &forged).await.unwrap();
    assert_eq!(asked(&stack).await.0, StatusCode::NOT_FOUND);
    key_ring::put(&pool, &kept.list()).await.unwrap();
    assert_eq!(asked(&stack).await, (StatusCode::OK, kept.list().bytes));
}

#[tokio::test]
async fn a_process_without_keys_gives_the_list_that_a_coordinator_has_now() {
    let kept = Kept::new().await;
    let stack = Stack::with_coordinator_of(Some(kept.keys())).await;
    kept.revoke().await;
    let newer = kept.list().bytes;
    let told = async { while asked(&stack).await != (StatusCode::OK, newer.clone()) {} };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("it is told");
}
