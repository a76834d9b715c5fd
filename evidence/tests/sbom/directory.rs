use std::os::unix::fs::symlink;

use maestro_evidence::sbom::{Code, of_directory};

use super::*;

const CARGO: &str = "version = 4\n[[package]]\nname = \"own\"\nversion = \"1.2.3\"\n";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn what_is_brought_along_cached_or_linked_is_passed_over() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = dir.path();
    put(root, "Cargo.lock", CARGO);
    for path in ["node_modules/a", ".hidden", "venv", "target/package"] {
        put(root, &format!("{path}/Cargo.lock"), "broken");
    }
    put(root, "target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
    put(elsewhere.path(), "Cargo.lock", "broken");
    symlink(elsewhere.path(), root.join("linked")).unwrap();
    symlink(elsewhere.path().join("Cargo.lock"), root.join("uv.lock")).unwrap();
    let subject = Subject::project("given");
    let found = of_directory(&subject, root, Limits::default()).unwrap();
    assert_eq!(found.sources, ["Cargo.lock"]);
    assert_eq!(found, describe(&[("Cargo.lock", CARGO)]).unwrap());
}

#[test]
fn what_a_file_takes_in_is_read_whatever_its_name_is() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(dir.path(), "requirements.txt", "-r pip/first.in\n-c pip/limits.in\n");
    put(dir.path(), "pip/first.in", "-r second.in\nflask\n");
    put(dir.path(), "pip/second.in", "six==1.17.0\n");
    put(dir.path(), "pip/limits.in", "Flask==2.0\n");
    let subject = Subject::project("given");
    let found = of_directory(&subject, dir.path(), Limits::default()).unwrap();
    let found: Value = serde_json::from_slice(&found.json).unwrap();
    assert_eq!(references(&found), ["pkg:pypi/flask@2.0", "pkg:pypi/six@1.17.0"]);
    put(elsewhere.path(), "secret", "six==1.0\n");
    fs::remove_file(dir.path().join("pip/second.in")).unwrap();
    symlink(elsewhere.path().join("secret"), dir.path().join("pip/second.in")).unwrap();
    let error = of_directory(&subject, dir.path(), Limits::default()).unwrap_err();
    assert_eq!(error.code(), Code::Reference, "{error}");
}

#[test]
fn a_directory_has_limits_and_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "Cargo.lock", CARGO);
    put(dir.path(), "a/Cargo.lock", CARGO);
    let subject = Subject::project("given");
    let default = Limits::default();
    for limits in [
        Limits { entries_max: 2, ..default },
        Limits { files_max: 1, ..default },
        Limits { file_bytes_max: 10, ..default },
        Limits { total_bytes_max: 100, ..default },
    ] {
        let error = of_directory(&subject, dir.path(), limits).unwrap_err();
        assert_eq!(error.code(), Code::Limit, "{error}");
    }
    let error = of_directory(&subject, &dir.path().join("b"), default).unwrap_err();
    assert_eq!(error.code(), Code::Unreadable);
}
