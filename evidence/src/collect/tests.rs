use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use maestro_schemas::artifact::{Tree, TreeEntry};
use tempfile::TempDir;

use super::*;
use crate::store::KEPT;

fn place() -> (TempDir, ArtifactStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ArtifactStore::local(directory.path()).expect("a store");
    (directory, store)
}

fn make_old(path: &Path) {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)))
        .expect("an older file");
}

/// Makes every file below `folder` older than [`KEPT`].
fn make_all_old(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            make_all_old(&path);
        } else {
            make_old(&path);
        }
    }
}

/// All digests as one share.
fn reachable() -> Reachable {
    Reachable::of(Share::split(1).next().expect("a share"), 100)
}

/// Deletes what is neither named nor young, and answers what and how much that was.
async fn collect(store: &ArtifactStore, reachable: &Reachable) -> (Vec<Digest>, Deleted) {
    let before = SystemTime::now() - KEPT;
    let dead: Vec<Object> =
        unnamed(store, reachable, before).try_collect().await.expect("a listing");
    let dead: Vec<Digest> = dead.iter().map(|object| object.digest).collect();
    let deleted = delete_old(store, &dead, before).await.expect("deleted");
    (dead, deleted)
}

async fn put_tree(store: &ArtifactStore, below: Digest) -> Digest {
    let kind = TreeEntryKind::File { digest: below, size: 12, executable: false };
    let tree = Tree { entries: vec![TreeEntry { path: "file".into(), kind }] };
    tree::put(store, &tree).await.expect("stored").digest
}

#[tokio::test]
async fn what_is_named_or_young_stays_and_the_rest_goes() {
    let (directory, store) = place();
    let named = store.put("named").await.expect("stored").digest;
    let dead = store.put("dead").await.expect("stored").digest;
    let below = store.put("below a tree").await.expect("stored").digest;
    let tree = put_tree(&store, below).await;
    make_all_old(directory.path());
    let young = store.put("young").await.expect("stored").digest;

    let mut reachable = reachable();
    reachable.add(named).expect("room");
    reachable.add_tree(&store, tree).await.expect("a tree");
    let collected = collect(&store, &reachable).await;

    assert_eq!(collected, (vec![dead], Deleted { objects: 1, bytes: 4 }));
    let kept = [named, below, tree, young];
    assert!(store.missing(&kept).await.expect("asked").is_empty());
    assert!(!store.exists(dead).await.expect("asked"));
}

#[tokio::test]
async fn an_old_object_that_is_put_again_is_not_collected() {
    let (directory, store) = place();
    let digest = store.put("again").await.expect("stored").digest;
    make_all_old(directory.path());
    store.put("again").await.expect("stored");
    assert_eq!(collect(&store, &reachable()).await, (Vec::new(), Deleted::default()));
    assert!(store.exists(digest).await.expect("asked"));
}

#[tokio::test]
async fn an_object_that_is_put_again_after_it_was_listed_stays() {
    let (directory, store) = place();
    let digest = store.put("again").await.expect("stored").digest;
    make_all_old(directory.path());
    let before = SystemTime::now() - KEPT;
    let nothing = reachable();
    let dead: Vec<Object> =
        unnamed(&store, &nothing, before).try_collect().await.expect("a listing");
    assert_eq!(dead.len(), 1);
    store.put("again").await.expect("stored");
    let deleted = delete_old(&store, &[digest], before).await.expect("looked at");
    assert_eq!(deleted, Deleted::default());
    assert!(store.exists(digest).await.expect("asked"));
}

#[tokio::test]
async fn shares_together_collect_what_one_does() {
    let (directory, store) = place();
    let mut all = Vec::new();
    for number in 0..40 {
        all.push(store.put(format!("object {number}")).await.expect("stored").digest);
    }
    make_all_old(directory.path());
    let (named, dead) = all.split_at(20);
    let mut collected = 0;
    for share in Share::split(3) {
        let mut reachable = Reachable::of(share, 100);
        named.iter().for_each(|digest| reachable.add(*digest).expect("room"));
        assert!(reachable.len() < 20, "a share holds its own digests only");
        collected += collect(&store, &reachable).await.1.objects;
    }
    assert_eq!(collected, 20);
    assert_eq!(store.missing(&all).await.expect("asked"), dead);
}

#[tokio::test]
async fn more_names_than_may_be_held_are_an_error() {
    let (_directory, store) = place();
    let below = store.put("below a tree").await.expect("stored").digest;
    let tree = put_tree(&store, below).await;
    let share = Share::split(1).next().expect("a share");
    let mut reachable = Reachable::of(share, 1);
    reachable.add(tree).expect("room for one");
    reachable.add(tree).expect("it is there already");
    let full = reachable.add_tree(&store, tree).await;
    assert!(matches!(full, Err(Error::TooMany { limit: 1 })), "{full:?}");
}

#[tokio::test]
async fn leftovers_of_interrupted_writes_go_once_they_are_old() {
    let (directory, store) = place();
    fs::create_dir_all(directory.path().join("staging")).expect("a folder");
    for leftover in ["staging/whole", "staging/partial#1"] {
        fs::write(directory.path().join(leftover), "x").expect("a leftover");
    }
    let before = SystemTime::now() - KEPT;
    assert_eq!(store.remove_unfinished(before).await.expect("removed"), 0);
    make_all_old(directory.path());
    assert_eq!(store.remove_unfinished(before).await.expect("removed"), 2);
    assert_eq!(fs::read_dir(directory.path().join("staging")).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_named_tree_that_is_lost_or_none_is_counted_and_stops_nothing() {
    let (_directory, store) = place();
    let none = store.put("no tree").await.expect("stored").digest;
    let mut reachable = reachable();
    for digest in [Digest::of(b"lost"), none] {
        reachable.add_tree(&store, digest).await.expect("counted");
    }
    assert_eq!((reachable.len(), reachable.unreadable()), (2, 2));
}

#[tokio::test]
async fn storage_that_fails_is_no_tree_that_is_lost() {
    let (directory, store) = place();
    let below = store.put("below a tree").await.expect("stored").digest;
    let tree = put_tree(&store, below).await;
    // Neither missing nor readable: a file in the place of the object's folder.
    let at = directory.path().join("sha256").join(&tree.to_hex()[..2]);
    fs::remove_dir_all(&at).expect("removed");
    fs::write(&at, "x").expect("a file");
    let failed = reachable().add_tree(&store, tree).await;
    assert!(matches!(failed, Err(Error::Store(_))), "{failed:?}");
}
