use maestro_kit::evidence::tree::{self, Limits};
use maestro_schemas::artifact::{TREE_MEDIA_TYPE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::task::TaskInput;

use super::*;

fn input(artifact: Artifact, path: &str) -> TaskInput {
    TaskInput { artifact, path: path.into() }
}

async fn stored(bench: &Bench, bytes: &'static str) -> Artifact {
    let stored = bench.store.put(bytes).await.expect("stored");
    Artifact {
        role: "thing".into(),
        digest: stored.digest,
        size: stored.size,
        media_type: "text/plain".into(),
    }
}

async fn stored_tree(bench: &Bench, entries: Vec<TreeEntry>) -> Artifact {
    let stored = tree::put(&bench.store, &Tree { entries }).await.expect("stored");
    Artifact {
        role: "tree".into(),
        digest: stored.digest,
        size: stored.size,
        media_type: TREE_MEDIA_TYPE.into(),
    }
}

fn file(path: &str, digest: Digest) -> TreeEntry {
    TreeEntry { path: path.into(), kind: TreeEntryKind::File { digest, size: 1, executable: true } }
}

#[tokio::test]
async fn named_values_become_outputs() {
    let bench = Bench::new();
    let script = "echo version=1.2 >> $MAESTRO_OUTPUT; \
                  echo 'list:=[1,{\"a\":null}]' >> $MAESTRO_OUTPUT; \
                  printf 'text<<END\\none\\ntwo\\nEND\\n' >> $MAESTRO_OUTPUT";
    let (outputs, _) = success(bench.script(script).await);
    let expected = json!({ "version": "1.2", "list": [1, {"a": null}], "text": "one\ntwo" });
    assert_eq!(json!(outputs), expected);
}

#[tokio::test]
async fn outputs_that_are_too_large_or_in_no_form_fail_the_step() {
    let bench = Bench::new();
    for (script, says) in [
        ("head -c 70000 /dev/zero | tr '\\0' x > $MAESTRO_OUTPUT", "none of"),
        ("(echo -n a=; head -c 70000 /dev/zero | tr '\\0' x) > $MAESTRO_OUTPUT", "64 KiB"),
        ("head -c 300000000 /dev/zero > $MAESTRO_OUTPUT", "64 KiB"),
        ("rm $MAESTRO_OUTPUT; ln -s /etc/passwd $MAESTRO_OUTPUT", "cannot read"),
        ("rm $MAESTRO_OUTPUT; mkfifo $MAESTRO_OUTPUT", "no plain file"),
        ("printf 'a=\\377' > $MAESTRO_OUTPUT", "UTF-8"),
    ] {
        let failure = failure(bench.script(script).await);
        assert!(failure.message.contains(says), "{script}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_directory_goes_from_one_step_to_the_next() {
    let bench = Bench::new();
    let mut first = shell(
        "mkdir -p dist/bin; echo hi > dist/a.txt; \
                           printf '#!/bin/sh\\necho ran' > dist/bin/x; chmod +x dist/bin/x; \
                           ln -s bin/x dist/run; echo '{}' > report.json",
    );
    first.outputs = vec![output("dist", "dist/"), output("report", "./report.json")];
    let (_, artifacts) = success(bench.carry_out(first).await);
    let kinds: Vec<_> = artifacts
        .iter()
        .map(|artifact| (artifact.role.as_str(), artifact.media_type.as_str()))
        .collect();
    assert_eq!(kinds, [("dist", TREE_MEDIA_TYPE), ("report", "application/json")]);
    let mut second = shell("cat given/a.txt; given/run; cat deep/r.json");
    let mut artifacts = artifacts.into_iter();
    second.inputs = vec![
        input(artifacts.next().expect("dist"), "given"),
        input(artifacts.next().expect("report"), "deep/r.json"),
    ];
    success(bench.carry_out(second).await);
    assert_eq!(bench.log().await, "hi\nran\n{}\n");
}

#[tokio::test]
async fn a_snapshot_is_what_the_workspace_begins_with_and_an_input_replaces_a_file_of_it() {
    let bench = Bench::new();
    let old = stored(&bench, "old").await;
    let new = stored(&bench, "new").await;
    let snapshot = stored_tree(&bench, vec![file("a", old.digest), file("b", old.digest)]).await;
    let mut step = shell("cat a b; echo changed > b; rm a");
    step.workspace = Workspace::Tree { digest: snapshot.digest };
    step.inputs = vec![input(new, "b")];
    success(bench.carry_out(step.clone()).await);
    success(bench.carry_out(step).await);
    assert_eq!(bench.log().await, "oldnewoldnew", "a step changed what another began with");
}

#[tokio::test]
async fn a_missing_output_fails_by_name_unless_it_is_optional() {
    let bench = Bench::new();
    let mut step = shell("true");
    step.outputs = vec![output("dist", "dist")];
    let failure = permanent(bench.carry_out(step.clone()).await);
    assert!(failure.message.contains("\"dist\" is missing"), "{}", failure.message);
    step.outputs[0].optional = true;
    let (_, artifacts) = success(bench.carry_out(step).await);
    assert!(artifacts.is_empty());
}

#[tokio::test]
async fn outputs_that_lead_out_of_the_workspace_are_refused() {
    let bench = Bench::new();
    for (script, path) in [
        ("ln -s /etc/passwd out", "out"),
        ("ln -s .. out", "out"),
        ("mkdir out; ln -s /etc/passwd out/x", "out"),
        ("true", "../home"),
        ("true", "/etc/passwd"),
    ] {
        let mut step = shell(script);
        step.outputs = vec![output("out", path)];
        let failure = permanent(bench.carry_out(step).await);
        let said = failure.message.contains("leads out");
        assert!(said, "{script} {path}: {}", failure.message);
    }
}

#[tokio::test]
async fn inputs_that_lead_out_of_the_workspace_are_refused() {
    let bench = Bench::new();
    let bytes = stored(&bench, "x").await;
    for path in ["../escaped", "/tmp/maestro-escaped", "a/../../escaped"] {
        let mut step = shell("true");
        step.inputs = vec![input(bytes.clone(), path)];
        permanent(bench.carry_out(step).await);
    }
    let link =
        TreeEntry { path: "link".into(), kind: TreeEntryKind::Link { target: "../..".into() } };
    for entries in [vec![link], vec![file("../escaped", bytes.digest)]] {
        let hostile = stored_tree(&bench, entries).await;
        let mut step = shell("true");
        step.inputs = vec![input(hostile.clone(), "there")];
        permanent(bench.carry_out(step).await);
        let mut step = shell("true");
        step.workspace = Workspace::Tree { digest: hostile.digest };
        permanent(bench.carry_out(step).await);
    }
    assert!(!bench.path("escaped").exists());
}

#[tokio::test]
async fn a_lost_input_is_reported_with_its_digest() {
    let bench = Bench::new();
    let lost = Digest::of(b"lost");
    let artifact = Artifact { digest: lost, ..stored(&bench, "x").await };
    let below = stored_tree(&bench, vec![file("a", lost)]).await;
    let whole = below.digest;
    let mut by_file = shell("true");
    by_file.inputs = vec![input(artifact, "a")];
    let mut by_tree = shell("true");
    by_tree.inputs = vec![input(below, "a")];
    let mut by_workspace = shell("true");
    by_workspace.workspace = Workspace::Tree { digest: lost };
    for (step, digest) in [(by_file, lost), (by_tree, whole), (by_workspace, lost)] {
        let failure = failure(bench.carry_out(step).await);
        assert_eq!(failure.class, FailureClass::InputLost);
        assert!(failure.message.contains(&lost.to_string()), "{}", failure.message);
        assert_eq!(failure.lost, Some(digest), "what was made is named, not a file of it");
    }
}

#[tokio::test]
async fn what_does_not_verify_is_lost_too() {
    let bench = Bench::new();
    let artifact = stored(&bench, "right").await;
    let hex = artifact.digest.to_hex();
    let object = bench.path("store/sha256").join(&hex[..2]).join(&hex);
    std::fs::write(object, "wrong").expect("spoiled");
    let mut step = shell("cat a");
    step.inputs = vec![input(artifact.clone(), "a")];
    let failure = failure(bench.carry_out(step).await);
    assert_eq!(failure.class, FailureClass::InputLost);
    assert_eq!(failure.lost, Some(artifact.digest));
    assert_eq!(bench.log().await, "");
}

#[tokio::test]
async fn the_whole_workspace_can_be_kept() {
    let bench = Bench::new();
    let mut step = shell("echo 1 > a; mkdir b; echo 2 > b/c");
    step.outputs = vec![output("all", ".")];
    let (_, artifacts) = success(bench.carry_out(step).await);
    let tree =
        tree::get(&bench.store, artifacts[0].digest, Limits::default()).await.expect("a tree");
    let paths: Vec<_> = tree.entries.iter().map(|entry| &entry.path).collect();
    assert_eq!(paths, ["a", "b/c"]);
}
