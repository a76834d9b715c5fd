use std::fs::File;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use tempfile::TempDir;

use super::*;

fn store() -> (TempDir, ArtifactStore) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = ArtifactStore::local(directory.path().join("store")).expect("a store");
    (directory, store)
}

fn path_of(directory: &TempDir, digest: Digest) -> PathBuf {
    let hex = digest.to_hex();
    directory.path().join("store/sha256").join(&hex[..2]).join(hex)
}

fn make_old(path: &Path, age: Duration) {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now() - age))
        .expect("an older file");
}

/// Bytes that no compression or accident repeats.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

#[tokio::test]
async fn bytes_come_back_under_their_digest_in_the_agreed_place() {
    let (directory, store) = store();
    let stored = store.put("hello").await.expect("stored");
    assert_eq!(stored.digest, Digest::of(b"hello"));
    assert_eq!(stored.size, 5);
    assert!(path_of(&directory, stored.digest).is_file());
    assert_eq!(store.get(stored.digest, 5).await.expect("read"), "hello");
}

#[tokio::test]
async fn objects_of_every_size_around_a_part_come_back_the_same() {
    let (directory, store) = store();
    let part = 8 << 20;
    for size in [0, 1, part - 1, part, part + 1, 2 * part, 2 * part + 12_345] {
        let bytes = noise(size);
        let source = directory.path().join("source");
        std::fs::write(&source, &bytes).expect("a source");
        let stored = store.put_file(&source).await.expect("stored");
        assert_eq!(stored.digest, Digest::of(&bytes), "size {size}");
        assert_eq!(stored.size, size as u64);
        let copy = directory.path().join(format!("copy-{size}"));
        store.get_to_file(stored.digest, &copy).await.expect("read");
        assert!(std::fs::read(copy).expect("a copy") == bytes, "size {size}");
    }
    let staged = std::fs::read_dir(directory.path().join("store/staging")).expect("staging");
    assert_eq!(staged.count(), 0, "an unfinished object was left");
}

#[tokio::test]
async fn a_stream_in_odd_pieces_is_the_same_object_as_the_whole() {
    let (_directory, store) = store();
    let bytes = noise(20_000_003);
    let pieces: Vec<_> =
        bytes.chunks(999_983).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let streamed = store.put_stream(futures::stream::iter(pieces)).await.expect("stored");
    assert_eq!(streamed.digest, Digest::of(&bytes));
    let read: Vec<Bytes> = store
        .reader(streamed.digest)
        .await
        .expect("a reader")
        .into_stream()
        .try_collect()
        .await
        .expect("read");
    assert!(read.concat() == bytes);
}

#[tokio::test]
async fn equal_bytes_are_not_written_twice_while_they_are_young() {
    let (directory, store) = store();
    let stored = store.put("same").await.expect("stored");
    let path = path_of(&directory, stored.digest);
    make_old(&path, KEPT / 4);
    let before = std::fs::metadata(&path).expect("there").modified().ok();
    store.put("same").await.expect("stored");
    store.put_file(&path).await.expect("stored");
    assert_eq!(std::fs::metadata(&path).expect("there").modified().ok(), before);
}

#[tokio::test]
async fn an_object_that_used_half_its_time_is_made_young_again() {
    let (directory, store) = store();
    let large = noise(9 << 20);
    for bytes in [Bytes::from("small"), Bytes::from(large)] {
        let stored = store.put(bytes.clone()).await.expect("stored");
        make_old(&path_of(&directory, stored.digest), KEPT * 2 / 3);
        store.put(bytes).await.expect("stored");
        let object = store.object(stored.digest).await.expect("asked").expect("there");
        assert!(object.written_at.elapsed().expect("past") < KEPT / 4);
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (directory, store) = store();
    let there = store.put("there").await.expect("stored").digest;
    let gone = Digest::of(b"gone");
    assert_eq!(store.missing(&[there, gone]).await.expect("asked"), [gone]);
    let error = store.get(gone, 10).await.expect_err("missing");
    assert_eq!(error.lost(), Some(gone));
    let copy = directory.path().join("copy");
    let error = store.get_to_file(gone, &copy).await.expect_err("missing");
    assert_eq!(error.lost(), Some(gone));
    assert!(!copy.exists());
}

#[tokio::test]
async fn what_does_not_verify_is_refused_on_every_way_and_can_be_put_again() {
    let (directory, store) = store();
    for way in ["memory", "file", "stream"] {
        let stored = store.put("right bytes").await.expect("stored");
        std::fs::write(path_of(&directory, stored.digest), "wrong bytes").expect("spoiled");
        let copy = directory.path().join("copy");
        let error = match way {
            "memory" => store.get(stored.digest, 100).await.map(drop),
            "file" => store.get_to_file(stored.digest, &copy).await.map(drop),
            _ => {
                let reader = store.reader(stored.digest).await.expect("a reader");
                reader.into_stream().try_for_each(|_| async { Ok(()) }).await
            }
        }
        .expect_err("corrupt");
        assert!(matches!(error, Error::Corrupt { .. }), "{way}: {error}");
        assert_eq!(error.lost(), Some(stored.digest));
        assert!(!copy.exists(), "a spoiled copy was left");
        store.put("right bytes").await.expect("stored again");
        assert_eq!(store.get(stored.digest, 100).await.expect("healed"), "right bytes");
    }
}

#[tokio::test]
async fn a_truncated_object_is_written_again_by_the_next_put() {
    let (directory, store) = store();
    let stored = store.put("whole").await.expect("stored");
    std::fs::write(path_of(&directory, stored.digest), "who").expect("truncated");
    store.put("whole").await.expect("stored");
    assert_eq!(store.get(stored.digest, 100).await.expect("read"), "whole");
}

#[tokio::test]
async fn limits_hold_for_writing_and_reading() {
    let (directory, store) = store();
    let small = store.clone().with_object_bytes_max(4);
    assert!(matches!(small.put("12345").await, Err(Error::TooLarge { limit: 4 })));
    let source = directory.path().join("source");
    std::fs::write(&source, "12345").expect("a source");
    assert!(small.put_file(&source).await.is_err());
    let stored = store.put("12345").await.expect("stored");
    assert!(matches!(store.get(stored.digest, 4).await, Err(Error::TooLarge { limit: 4 })));
}

#[tokio::test]
async fn links_pipes_and_directories_are_not_read_as_files() {
    let (directory, store) = store();
    std::fs::write(directory.path().join("secret"), "s").expect("a file");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("secret", &link).expect("a link");
    assert!(store.put_file(&link).await.is_err());
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert!(store.put_file(&pipe).await.is_err());
    assert!(store.put_file(directory.path()).await.is_err());
}

#[tokio::test]
async fn a_file_that_exists_is_neither_overwritten_nor_removed() {
    let (directory, store) = store();
    let stored = store.put("new").await.expect("stored");
    let copy = directory.path().join("copy");
    std::fs::write(&copy, "old").expect("a file");
    assert!(store.get_to_file(stored.digest, &copy).await.is_err());
    assert_eq!(std::fs::read(&copy).expect("there"), b"old");
}

#[tokio::test]
async fn a_durable_put_replaces_a_spoiled_object() {
    let (directory, store) = store();
    let stored = store.put_durable("a plan").await.expect("stored");
    std::fs::write(path_of(&directory, stored.digest), "spoilt").expect("spoiled");
    store.put_durable("a plan").await.expect("stored");
    assert_eq!(store.get(stored.digest, 100).await.expect("read"), "a plan");
}

#[test]
fn a_device_without_space_is_said_as_such_and_may_pass() {
    let full = Error::file(
        "cannot write",
        Path::new("x"),
        std::fs::write("/dev/full", "x").expect_err("full"),
    );
    assert!(matches!(full, Error::Full { .. }) && full.is_transient());
    assert!(full.to_string().contains("no space left"));
}

#[test]
fn an_address_of_an_unknown_kind_is_refused_by_name() {
    let error = ArtifactStore::open("ftp://somewhere/x").expect_err("refused");
    assert!(error.to_string().contains("ftp://"), "{error}");
}
