use maestro_evidence::sbom::{Made, reads};
use maestro_schemas::digest::Digest;

use super::*;

const CARGO: &str = "version = 4\n[[package]]\nname = \"own\"\nversion = \"1.2.3\"\n";
const NPM: &str = r#"{"lockfileVersion": 3, "packages": {
    "": {"name": "web"}, "node_modules/a": {"version": "1.0.0", "dev": true}}}"#;
const OTHER: &str = r#"{"lockfileVersion": 3, "packages": {
    "": {"name": "api"}, "node_modules/a": {"version": "1.0.0"}}}"#;

#[test]
fn the_order_of_files_does_not_matter() {
    let one = describe(&[("Cargo.lock", CARGO), ("web/package-lock.json", NPM)]).unwrap();
    let other = describe(&[("/web/package-lock.json", NPM), ("./Cargo.lock", CARGO)]).unwrap();
    assert_eq!(one, other);
    assert_eq!(one.sources, ["Cargo.lock", "web/package-lock.json"]);
}

#[test]
fn the_serial_number_is_of_what_is_in_the_document() {
    let serial = |found: &Value| found["serialNumber"].as_str().unwrap().to_owned();
    let (one, other) =
        (document(&[("a/package-lock.json", NPM)]), document(&[("a/package-lock.json", OTHER)]));
    assert_ne!(serial(&one), serial(&other));
    assert_eq!(serial(&one), serial(&document(&[("a/package-lock.json", NPM)])));
    let uuid: uuid::Uuid = serial(&one).strip_prefix("urn:uuid:").unwrap().parse().unwrap();
    assert_eq!(uuid.get_version_num(), 8);
}

#[test]
fn a_package_of_two_files_is_one_and_needed_where_it_is_anywhere() {
    let found = document(&[("a/package-lock.json", NPM), ("b/package-lock.json", OTHER)]);
    assert_eq!(component(&found, "pkg:npm/a@1.0.0").get("scope"), None);
    let subject = needs(&found, "subject").unwrap();
    assert_eq!(subject, ["package-lock.json:a:web@", "package-lock.json:b:api@"]);
    assert_eq!(found["metadata"]["component"]["name"], "given");
}

#[test]
fn what_was_made_and_when_is_told_where_it_is_known() {
    let made = Made { name: "app".into(), digest: Digest::of(b"") };
    let subject = Subject {
        is_named: true,
        version: Some("2".into()),
        made: vec![made],
        made_at: Some(86_400),
        ..Subject::project("mine")
    };
    let found = describe_as(&subject, &[("Cargo.lock", CARGO)]).unwrap();
    let found: Value = serde_json::from_slice(&found.json).unwrap();
    assert_eq!(found["metadata"]["timestamp"], "1970-01-02T00:00:00Z");
    let own = &found["metadata"]["component"];
    assert_eq!((&own["name"], &own["version"]), (&"mine".into(), &"2".into()));
    assert_eq!(own["components"][0]["hashes"][0]["content"], Digest::of(b"").to_hex());
}

#[test]
fn every_file_that_is_read_is_known_by_its_path() {
    for path in [
        "Cargo.lock",
        "a/npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "dev-requirements.txt",
        "requirements/dev.txt",
        "poetry.lock",
        "uv.lock",
        "go.sum",
        "var/lib/dpkg/status",
        "usr/share/doc/curl/copyright",
    ] {
        assert!(reads(path), "{path}");
    }
    for path in ["a/var/lib/dpkg/status", "src/main.rs", "notes.txt", "venv/requirements.txt"] {
        assert!(!reads(path), "{path}");
    }
}
