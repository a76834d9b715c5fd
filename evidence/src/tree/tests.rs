use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use maestro_schemas::artifact::{TreeEntry, TreeEntryKind};
use tempfile::TempDir;

use super::*;

fn place() -> (TempDir, ArtifactStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ArtifactStore::local(directory.path().join("store")).expect("a store");
    (directory, store)
}

fn folder(directory: &TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::create_dir(&path).expect("a folder");
    path
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, text).expect("a file");
}

fn sample(directory: &TempDir, name: &str) -> PathBuf {
    let source = folder(directory, name);
    write(&source.join("README"), "read me");
    write(&source.join("src/deep/main.c"), "int main;");
    write(&source.join("src/tool.sh"), "#!/bin/sh");
    fs::set_permissions(source.join("src/tool.sh"), fs::Permissions::from_mode(0o750))
        .expect("executable");
    symlink("src/tool.sh", source.join("tool")).expect("a link");
    symlink("../../README", source.join("src/deep/readme")).expect("a link");
    source
}

async fn whole(store: &ArtifactStore, source: &Path) -> Result<Snapshot, Error> {
    snapshot(store, source, |_, _| true, Limits::default()).await
}

#[tokio::test]
async fn a_directory_comes_back_as_it_was() {
    let (directory, store) = place();
    let source = sample(&directory, "source");
    let taken = whole(&store, &source).await.expect("a snapshot");
    let tree = get(&store, taken.stored.digest, Limits::default()).await.expect("a tree");
    assert_eq!(tree, taken.tree);
    let copy = folder(&directory, "copy");
    materialise(&store, tree, &copy, Limits::default()).await.expect("a copy");
    assert_eq!(fs::read(copy.join("src/deep/main.c")).expect("there"), b"int main;");
    assert_eq!(fs::read(copy.join("src/deep/readme")).expect("by link"), b"read me");
    let mode = fs::metadata(copy.join("src/tool.sh")).expect("there").permissions();
    assert_eq!(mode.mode() & 0o100, 0o100);
    let again = whole(&store, &copy).await.expect("a snapshot");
    assert_eq!(again.stored, taken.stored, "equal directories are one object");
}

#[tokio::test]
async fn what_the_caller_leaves_out_is_left_out_with_all_below_it() {
    let (directory, store) = place();
    let source = sample(&directory, "source");
    let keep = |path: &str, is_dir: bool| !(is_dir && path == "src") && path != "tool";
    let taken = snapshot(&store, &source, keep, Limits::default()).await.expect("a snapshot");
    let paths: Vec<_> = taken.tree.entries.iter().map(|entry| &entry.path).collect();
    assert_eq!(paths, ["README"]);
    assert_eq!(taken.total_bytes(), 7);
}

#[tokio::test]
async fn a_link_that_leads_out_is_refused_with_its_name() {
    let (directory, store) = place();
    let source = folder(&directory, "source");
    symlink("/etc/passwd", source.join("oops")).expect("a link");
    let error = whole(&store, &source).await.expect_err("refused");
    assert!(matches!(&error, Error::Escape { path, .. } if path == "oops"), "{error}");
}

#[tokio::test]
async fn too_many_files_are_refused_before_any_is_stored() {
    let (directory, store) = place();
    let source = sample(&directory, "source");
    let limits = Limits { entries_max: 2, ..Limits::default() };
    let error = snapshot(&store, &source, |_, _| true, limits).await.expect_err("refused");
    assert!(matches!(error, Error::TooMany { limit: 2 }));
    assert!(!directory.path().join("store/sha256").exists());
}

fn file_entry(path: &str, digest: Digest) -> TreeEntry {
    TreeEntry {
        path: path.into(),
        kind: TreeEntryKind::File { digest, size: 1, executable: false },
    }
}

#[tokio::test]
async fn a_hostile_tree_writes_nothing() {
    let (directory, store) = place();
    let digest = store.put("x").await.expect("stored").digest;
    let copy = folder(&directory, "copy");
    let hostile = [
        vec![file_entry("../escaped", digest)],
        vec![file_entry("/tmp/maestro-escaped", digest)],
        vec![
            TreeEntry { path: "a".into(), kind: TreeEntryKind::Link { target: "..".into() } },
            file_entry("a/escaped", digest),
        ],
        vec![file_entry("same", digest), file_entry("same", digest)],
    ];
    for entries in hostile {
        let tree = Tree { entries };
        let stored = put(&store, &tree).await.expect("stored");
        assert!(get(&store, stored.digest, Limits::default()).await.is_err());
        materialise(&store, tree, &copy, Limits::default()).await.expect_err("refused");
    }
    assert_eq!(fs::read_dir(&copy).expect("there").count(), 0);
    assert!(!directory.path().join("escaped").exists());
}

#[tokio::test]
async fn a_link_that_already_stands_there_is_not_written_through() {
    let (directory, store) = place();
    let digest = store.put("x").await.expect("stored").digest;
    let outside = folder(&directory, "outside");
    write(&outside.join("file"), "precious");
    let copy = folder(&directory, "copy");
    symlink(&outside, copy.join("dir")).expect("a link");
    symlink(outside.join("file"), copy.join("file")).expect("a link");
    let through = Tree { entries: vec![file_entry("dir/new", digest)] };
    let error = materialise(&store, through, &copy, Limits::default()).await.expect_err("refused");
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
    let over = Tree { entries: vec![file_entry("file", digest)] };
    materialise(&store, over, &copy, Limits::default()).await.expect("the link itself is replaced");
    assert_eq!(fs::read(outside.join("file")).expect("there"), b"precious");
    assert_eq!(fs::read(copy.join("file")).expect("there"), b"x");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
}

#[tokio::test]
async fn a_lost_file_of_a_tree_is_named() {
    let (directory, store) = place();
    let lost = Digest::of(b"never stored");
    let copy = folder(&directory, "copy");
    let tree = Tree { entries: vec![file_entry("a", lost)] };
    let error = materialise(&store, tree, &copy, Limits::default()).await.expect_err("lost");
    assert_eq!(error.lost(), Some(lost));
}

#[tokio::test]
async fn an_object_that_is_no_tree_is_refused() {
    let (_directory, store) = place();
    let digest = store.put("not json").await.expect("stored").digest;
    let error = get(&store, digest, Limits::default()).await.expect_err("refused");
    assert!(matches!(error, Error::NoTree { .. }));
}
