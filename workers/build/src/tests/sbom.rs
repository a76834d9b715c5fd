use maestro_kit::evidence::sbom::{MEDIA_TYPE, ROLE};
use maestro_schemas::digest::Digest;

use super::*;

/// Leaves a lock and a file to keep.
const WORK: &str = "mkdir -p sub; printf 'module example.org/own\\nrequire example.org/a v1.0.0\\n' > sub/go.mod; printf x > app";

fn build(with: Value) -> Task {
    let mut with = with;
    with["command"] = WORK.into();
    with["install"] = false.into();
    task("build.go", with)
}

#[tokio::test]
async fn what_a_step_is_made_of_is_kept_with_what_it_made() {
    let bench = Bench::new();
    let mut step = build(json!({ "sbom": true }));
    step.outputs = vec![output("app", "app")];
    let (_, artifacts) = success(bench.carry_out(step).await);
    let roles: Vec<_> = artifacts.iter().map(|artifact| artifact.role.as_str()).collect();
    assert_eq!(roles, ["app", ROLE]);
    assert_eq!(artifacts[1].media_type, MEDIA_TYPE);
    let bytes = bench.store.get(artifacts[1].digest, 1 << 20).await.expect("a document");
    let found: Value = serde_json::from_slice(&bytes).expect("JSON");
    let own = &found["metadata"]["component"];
    assert_eq!(own["name"], "example.org/own");
    assert_eq!(own["components"][0]["hashes"][0]["content"], Digest::of(b"x").to_hex());
    assert_eq!(found["components"][0]["purl"], "pkg:golang/example.org/a@v1.0.0");
}

#[tokio::test]
async fn another_directory_may_be_described_and_none_is_unless_asked() {
    let bench = Bench::new();
    let (_, artifacts) =
        success(bench.carry_out(build(json!({ "sbom": { "path": "./sub/" } }))).await);
    assert_eq!(artifacts.len(), 1);
    let (_, artifacts) = success(bench.carry_out(build(json!({ "sbom": false }))).await);
    assert_eq!(artifacts, []);
}

#[tokio::test]
async fn what_cannot_be_described_fails_the_step_and_says_why() {
    let bench = Bench::new();
    let mut second = build(json!({ "sbom": true }));
    second.outputs = vec![output(ROLE, "app")];
    for (step, says) in [
        (build(json!({ "sbom": { "path": ".." } })), "leads out of the workspace"),
        (build(json!({ "sbom": { "path": "app" } })), "is no directory"),
        (
            task("build.go", json!({ "sbom": true, "command": "true", "install": false })),
            "MAE-7025",
        ),
        (
            task(
                "build.go",
                json!({ "sbom": true, "command": "echo [ > uv.lock", "install": false }),
            ),
            "MAE-7020",
        ),
        (second, "keeps an artifact `sbom` of its own"),
        (build(json!({ "sbom": { "paht": "." } })), "`with` of build.go is refused"),
    ] {
        let failure = permanent(bench.carry_out(step).await);
        assert!(failure.message.contains(says), "{}", failure.message);
    }
}
