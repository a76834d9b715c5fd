use super::*;

fn describe_files(files: &[(&str, &str)]) -> Result<serde_json::Value, Error> {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    let sbom = of_files(&Subject::project("given"), files, Limits::default())?;
    Ok(serde_json::from_slice(&sbom.json).expect("JSON"))
}

const LOCK: &str = r#"
version = 4

[[package]]
name = "own"
version = "0.1.0"
dependencies = ["serde"]

[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://example.org/crates.io-index"
checksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"#;

#[test]
fn the_only_project_is_what_is_described() {
    let found = describe_files(&[("Cargo.lock", LOCK)]).unwrap();
    assert_eq!(found["metadata"]["component"]["name"], "own");
    assert_eq!(found["components"][0]["purl"], "pkg:cargo/serde@1.0.0");
    assert_eq!(found["dependencies"][0]["dependsOn"][0], "pkg:cargo/serde@1.0.0");
}
