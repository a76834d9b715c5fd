use crate::Session;

const LOCK: &str = r#"version = 4

[[package]]
name = "own"
version = "0.1.0"
dependencies = ["left"]

[[package]]
name = "left"
version = "1.0.0"
source = "git+https://me:secret@git.example.org/left#c0ffee"
"#;

#[test]
fn a_directory_is_described_on_standard_output_or_in_a_file() {
    let session = Session::new(&[("Cargo.lock", LOCK)]);
    let done = session.run(&["sbom"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.json()["metadata"]["component"]["name"], "own");
    assert!(!done.stdout.contains("secret"));
    let written = session.run(&["sbom", ".", "--format", "json", "--output", "sbom.json"]);
    assert_eq!((written.code, written.stdout.as_str()), (0, ""), "{}", written.stderr);
    assert_eq!(written.stderr, "sbom.json names 1 component, from 1 file\n");
    let file = std::fs::read_to_string(session.dir.path().join("sbom.json")).unwrap();
    assert_eq!(file, done.stdout);
    assert_eq!(
        session.run(&["sbom", "--name", "mine"]).json()["metadata"]["component"]["name"],
        "mine"
    );
}

#[test]
fn what_cannot_be_described_is_refused_with_its_place() {
    let broken = LOCK.replace("\"left\"]", "\"right\"]");
    let done = Session::new(&[("a/Cargo.lock", &broken)]).run(&["sbom"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert_eq!(
        done.stderr,
        "error[MAE-7020]: a/Cargo.lock: package[0].dependencies[0]: names a package that the file does not have\n  hint: have the tool that owns the file write it anew\n"
    );
    let done = Session::new(&[("notes.md", "")]).run(&["sbom", "--json"]);
    assert_eq!(done.code, 1);
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "MAE-7025");
}
