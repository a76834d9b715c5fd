use super::super::key_file::KeyFile;
use super::*;

fn context() -> Context {
    Context { project: "demo".into(), name: "token".into(), version: 1 }
}

fn keys(directory: &tempfile::TempDir) -> KeyFile {
    let path = path(directory);
    KeyFile::make(&path).unwrap();
    KeyFile::at(path)
}

fn path(directory: &tempfile::TempDir) -> std::path::PathBuf {
    directory.path().join("secrets.key")
}

#[tokio::test]
async fn a_value_comes_back_for_its_own_secret_alone() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&directory);
    let sealed = close(&keys, b"hunter2!", &context()).await.unwrap();
    assert!(!sealed.ciphertext.windows(8).any(|window| window == b"hunter2!"));
    assert_eq!(open(&keys, &sealed, &context()).await.unwrap().as_slice(), b"hunter2!");
    for other in [
        Context { project: "other".into(), ..context() },
        Context { name: "other".into(), ..context() },
        Context { version: 2, ..context() },
    ] {
        assert!(
            matches!(open(&keys, &sealed, &other).await, Err(kek::Error::Mismatch)),
            "{other:?}"
        );
    }
}

#[tokio::test]
async fn each_flipped_bit_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&directory);
    let sealed = close(&keys, b"hunter2!", &context()).await.unwrap();
    for bit in 0..sealed.ciphertext.len() * 8 {
        let mut changed = sealed.clone();
        changed.ciphertext[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&keys, &changed, &context()).await.is_err(), "bit {bit} of the value");
    }
    for bit in 0..sealed.key.bytes.len() * 8 {
        let mut changed = sealed.clone();
        changed.key.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&keys, &changed, &context()).await.is_err(), "bit {bit} of the key");
    }
}

#[tokio::test]
async fn the_same_value_is_never_encrypted_to_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&directory);
    let first = close(&keys, b"hunter2!", &context()).await.unwrap();
    let second = close(&keys, b"hunter2!", &context()).await.unwrap();
    assert_ne!(first.ciphertext, second.ciphertext);
    assert_ne!(first.key, second.key);
}

#[tokio::test]
async fn a_rewrapped_key_opens_the_untouched_value_without_the_former_key() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(&directory);
    let old = close(&keys, b"hunter2!", &context()).await.unwrap();
    let made = KeyFile::rotate(&path(&directory)).unwrap();
    assert_eq!(open(&keys, &old, &context()).await.unwrap().as_slice(), b"hunter2!");
    let new = Envelope { key: rewrap(&keys, &old.key, &context()).await.unwrap(), ..old.clone() };
    assert_eq!(new.key.kek, made);
    assert_ne!(new.key.kek, old.key.kek);
    KeyFile::retire(&path(&directory), &old.key.kek).unwrap();
    assert_eq!(open(&keys, &new, &context()).await.unwrap().as_slice(), b"hunter2!");
    assert!(matches!(open(&keys, &old, &context()).await, Err(kek::Error::Unknown { .. })));
}
