//! The last word on a subject: who may replace it, and when.

use maestro_schemas::id::RunId;
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_streams::ensure;
use maestro_streams::latest::{self, Error, Word};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::spend_stream;
use maestro_streams::topology::subject::{self, Subject};

use crate::server::Server;
use crate::support::{pool, text, topology};

fn spend(of: &str) -> Subject {
    let token = AttemptToken { number: 1, epoch: 1 };
    subject::spend(&pool(of), RunId::generate(), StepAddress::node(0), token)
}

async fn server() -> Server {
    let roles = [Role::Coordinator, Role::Worker(pool("llm")), Role::Worker(pool("scrape"))];
    let server = Server::with_roles(&roles);
    let coordinator = server.connect(&Role::Coordinator).await;
    ensure::ensure(&coordinator, &topology().streams()).await.expect("made");
    server
}

#[tokio::test]
async fn a_word_is_replaced_only_by_who_has_read_the_last_one() {
    let server = server().await;
    let one = server.connect(&Role::Worker(pool("llm"))).await;
    let other = server.connect(&Role::Worker(pool("llm"))).await;
    let (stream, word) = (spend_stream(), spend("llm"));
    assert_eq!(latest::read(&one, &stream, &word).await.expect("an answer"), None);
    let first = latest::replace(&one, word.clone(), 0, text("a")).await.expect("the first");
    let late = latest::replace(&other, word.clone(), 0, text("b")).await;
    assert!(matches!(late, Err(Error::Late)), "{late:?}");
    let found = latest::read(&other, &stream, &word).await.expect("an answer");
    assert_eq!(found, Some(Word { number: first, bytes: text("a") }));
    let second = latest::replace(&other, word.clone(), first, text("b")).await.expect("the second");
    let late = latest::replace(&one, word.clone(), first, text("c")).await;
    assert!(matches!(late, Err(Error::Late)), "{late:?}");
    let found = latest::read(&one, &stream, &word).await.expect("an answer");
    assert_eq!(found, Some(Word { number: second, bytes: text("b") }));
}

#[tokio::test]
async fn the_word_of_another_pool_is_neither_read_nor_replaced() {
    let server = server().await;
    let owner = server.connect(&Role::Worker(pool("llm"))).await;
    let scraper = server.connect(&Role::Worker(pool("scrape"))).await;
    let word = spend("llm");
    let number = latest::replace(&owner, word.clone(), 0, text("a")).await.expect("the first");
    // What the broker denies is not answered.
    let stream = spend_stream();
    let (read, replaced) = tokio::join!(
        latest::read(&scraper, &stream, &word),
        latest::replace(&scraper, word.clone(), number, text("b"))
    );
    assert!(matches!(read, Err(Error::Unanswered(_))), "{read:?}");
    assert!(matches!(replaced, Err(Error::Unanswered(_))), "{replaced:?}");
    assert!(scraper.counters().server_errors >= 2, "{:?}", scraper.counters());
    let found = latest::read(&owner, &spend_stream(), &word).await.expect("an answer");
    assert_eq!(found, Some(Word { number, bytes: text("a") }));
}
