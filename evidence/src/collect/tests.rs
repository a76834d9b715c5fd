use std::fs::{self, File};
use std::path::Path;

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

#[tokio::test]
async fn what_is_named_or_young_stays_and_the_rest_goes() {
    let (directory, store) = place();
    let named = store.put("named").await.expect("stored").digest;
    let dead = store.put("dead").await.expect("stored").digest;
    let below = store.put("below a tree").await.expect("stored").digest;
    let tree = Tree {
        entries: vec![TreeEntry {
            path: "file".into(),
            kind: TreeEntryKind::File { digest: below, size: 12, executable: false },
        }],
    };
    let tree = tree::put(&store, &tree).await.expect("stored").digest;
    make_all_old(directory.path());
    let young = store.put("young").await.expect("stored").digest;

    let mut reachable = Reachable::new();
    reachable.add(named);
    reachable.add_tree(&store, tree).await.expect("a tree");
    let report = collect(&store, &reachable, KEPT).await.expect("collected");

    assert_eq!(report.deleted, [dead]);
    assert_eq!((report.freed_bytes, report.kept), (4, 4));
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
    let report = collect(&store, &Reachable::new(), KEPT).await.expect("collected");
    assert!(report.deleted.is_empty());
    assert!(store.exists(digest).await.expect("asked"));
}

#[tokio::test]
async fn leftovers_of_interrupted_writes_go_once_they_are_old() {
    let (directory, store) = place();
    fs::create_dir_all(directory.path().join("staging")).expect("a folder");
    for leftover in ["staging/whole", "staging/partial#1"] {
        fs::write(directory.path().join(leftover), "x").expect("a leftover");
    }
    let nothing = Reachable::new();
    let report = collect(&store, &nothing, KEPT).await.expect("collected");
    assert_eq!(report.unfinished, 0);
    make_all_old(directory.path());
    let report = collect(&store, &nothing, KEPT).await.expect("collected");
    assert_eq!(report.unfinished, 2);
    assert_eq!(fs::read_dir(directory.path().join("staging")).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_named_tree_that_is_lost_is_reported_and_stops_nothing() {
    let (_directory, store) = place();
    let lost = Digest::of(b"lost");
    let mut reachable = Reachable::new();
    reachable.add_tree(&store, lost).await.expect("reported");
    assert_eq!(reachable.len(), 1);
    let report = collect(&store, &reachable, KEPT).await.expect("collected");
    assert_eq!(report.unreadable, [lost]);
}
