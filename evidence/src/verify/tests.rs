//! A small directory of evidence, and what is found where something of it changes.

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::ExecutionId;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::key::Signer;
use crate::key::home::Home;
use crate::key::local::LocalKey;
use crate::key::next::Next;
use crate::statement::provenance::{
    BUILD_TYPE, BuildDefinition, Builder, External, Internal, MADE_PREFIX, Metadata, Provenance,
    RunDetails,
};
use crate::statement::{Descriptor, Digests, Subject};

const WORD: &str = "correct horse";
const RUN: &str = "run_01h455vb4pex5vsknk084sn02q";
const RUN_ROW: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const EXECUTION: Uuid = Uuid::from_u128(0x0190_f3a0_0000_7000_8000_0000_0000_0001);

/// What is written: files by path, and a key that signs.
struct Case {
    directory: tempfile::TempDir,
    _keys: tempfile::TempDir,
    home: Home,
    project: &'static str,
    files: BTreeMap<String, Digest>,
    key: Arc<dyn Signer>,
    root: Digest,
    plan: Digest,
}

impl Case {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = tempfile::tempdir().unwrap();
        let home = Home::at(keys.path().join("keys"));
        let first = Next::made(WORD).unwrap();
        let trust = home.init(WORD, &first, Duration::from_secs(3_600)).await.unwrap();
        let key = home.signer(WORD).unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at(file::KEYS), home.ring_bytes().unwrap()).unwrap();
        std::fs::write(at(file::ROOT), trust.root().pem()).unwrap();
        let (files, root) = (BTreeMap::new(), trust.root().fingerprint());
        let (project, plan) = ("demo", Digest::of(b""));
        let mut case = Self { directory, _keys: keys, home, project, files, key, root, plan };
        case.write_run().await;
        case
    }

    async fn write_run(&mut self) {
        let source = Digest::of(b"the workspace");
        let node = |id: &str, action: &str, workspace: serde_json::Value| {
            json!({ "id": id, "stage": 0, "action": { "name": action }, "pool": "build",
                    "with": {}, "env": {}, "timeout_ms": 1000, "workspace": workspace })
        };
        let plan = json!({ "version": 1, "name": "app", "stages": [{ "name": "build" }],
            "nodes": [node("build/compile", "shell", json!({ "kind": "tree", "digest": source })),
                      node("build/pack", "container.build", json!({ "kind": "empty" }))] });
        let plan: maestro_schemas::plan::Plan = serde_json::from_value(plan).unwrap();
        let plan = serde_json::to_value(&plan).unwrap().to_string();
        self.plan = self.put(file::PLAN, plan.as_bytes());
        let hex = self.plan.to_hex();
        let row = json!({ "id": RUN_ROW, "project": "demo",
            "pipeline": "app", "state": "succeeded", "plan": format!("\\x{hex}"),
            "created_at_ms": 1_000, "ended_at_ms": 9_000 });
        self.put(file::RUN, format!("{row}\n").as_bytes());
        self.put(file::COMMANDS, b"");
        let list = self.put_directory();
        let image = self.put("artifacts/build/pack/image", b"an image");
        self.put("artifacts/build/pack/log", b"$ make\n");
        let made = |role: &str, digest: Digest| json!({ "role": role, "digest": digest, "size": 1, "media_type": "text/plain" });
        let attempt = |node: u32, artifacts: serde_json::Value| {
            json!({ "node": node, "item": 0, "visit": 0, "number": 1, "outcome": "succeeded",
                "decided_at_ms": 2_000, "ended_at_ms": 3_000, "execution": EXECUTION.to_string(),
                "artifacts": artifacts })
        };
        let first = attempt(0, json!([made("dist", list)]));
        let second = attempt(1, json!([made("image", image), made("log", Digest::of(b"x"))]));
        self.put("attempts/0001.jsonl", format!("{first}\n{second}\n").as_bytes());
        let workspace = Descriptor {
            name: "workspace".into(),
            digest: Digests::sha256(source),
            ..Descriptor::default()
        };
        let commit = Descriptor {
            name: "source".into(),
            digest: Digests::git_commit("00112233445566778899aabbccddeeff00112233"),
            annotations: BTreeMap::from([("branch".into(), json!("main"))]),
            ..Descriptor::default()
        };
        self.state("build/compile", 0, ("dist", list), vec![workspace, commit]).await;
        let dist = Descriptor {
            name: "dist".into(),
            uri: format!("{MADE_PREFIX}{RUN}/build/compile#dist"),
            digest: Digests::sha256(list),
            ..Descriptor::default()
        };
        self.state("build/pack", 1, ("image", image), vec![dist]).await;
        self.seal().await;
    }

    /// A directory with a file that may be executed and a link.
    fn put_directory(&mut self) -> Digest {
        let file = Digest::of(b"#!/bin/sh\n");
        let kind = TreeEntryKind::File { digest: file, size: 10, executable: true };
        let link = TreeEntryKind::Link { target: "run".into() };
        let entries = vec![
            TreeEntry { path: "link".into(), kind: link },
            TreeEntry { path: "run".into(), kind },
        ];
        let list = crate::tree::encode(&Tree { entries }).unwrap();
        let digest = self.put("artifacts/build/compile/dist.tree.json", &list);
        self.put("artifacts/build/compile/dist/run", b"#!/bin/sh\n");
        let place = self.directory.path().join("artifacts/build/compile/dist");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.join("run"), mode).unwrap();
        std::os::unix::fs::symlink("run", place.join("link")).unwrap();
        digest
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Digest {
        let place = self.directory.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, bytes).unwrap();
        self.files.insert(path.to_owned(), Digest::of(bytes));
        Digest::of(bytes)
    }

    /// What is called an image is built as one.
    async fn state(
        &mut self,
        step: &str,
        node: u32,
        (role, made): (&str, Digest),
        from: Vec<Descriptor>,
    ) {
        let action = if role == "image" { "container.build@1" } else { "shell@1" };
        self.state_by(action, (step, node), (role, made), from).await;
    }

    async fn state_by(
        &mut self,
        action: &str,
        (step, node): (&str, u32),
        (role, made): (&str, Digest),
        from: Vec<Descriptor>,
    ) {
        let provenance = Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.into(),
                external_parameters: External {
                    pipeline: "app".into(),
                    step: step.into(),
                    plan: self.plan,
                    inputs: BTreeMap::new(),
                },
                internal_parameters: Internal {
                    project: self.project.into(),
                    run: RUN.into(),
                    action: action.into(),
                    step: [node, 0, 0],
                    attempt: 1,
                    signed_on: Moment::now(),
                    key: None,
                    sandbox: None,
                },
                resolved_dependencies: from,
            },
            run_details: RunDetails {
                builder: Builder::isolating("unisolated"),
                metadata: Metadata {
                    invocation_id: format!("{RUN}/{step}/1/{}", ExecutionId::from_uuid(EXECUTION)),
                    started_on: Moment::from_ms(2_000),
                    finished_on: Moment::from_ms(3_000),
                },
                byproducts: Vec::new(),
            },
        };
        let subject = Subject { name: role.into(), digest: Digests::sha256(made) };
        let bundle =
            Statement::of(vec![subject], provenance).sign(self.key.as_ref()).await.unwrap();
        self.put(&format!("statements/{step}.1.sigstore.json"), &bundle);
    }

    async fn seal(&self) {
        let evidence = RunEvidence {
            project: "demo".into(),
            run: RUN.into(),
            pipeline: "app".into(),
            plan: self.plan,
            state: "succeeded".into(),
            created_on: Moment::from_ms(1_000),
            finished_on: Moment::from_ms(9_000),
            signed_on: Moment::now(),
            left_out: Vec::new(),
        };
        let subjects = self
            .files
            .iter()
            .map(|(path, digest)| Subject { name: path.clone(), digest: Digests::sha256(*digest) });
        let bundle =
            Statement::of(subjects.collect(), evidence).sign(self.key.as_ref()).await.unwrap();
        std::fs::write(self.directory.path().join(file::MANIFEST), bundle).unwrap();
    }

    /// Every statement that was written.
    fn stated(&self) -> Vec<chain::Stated> {
        let trust = self.home.trust().unwrap();
        let signed_on = |statement: &Statement<Provenance>| {
            Some(statement.predicate.build_definition.internal_parameters.signed_on)
        };
        let stated = |path: &String| {
            let bytes = std::fs::read(self.directory.path().join(path)).unwrap();
            let (key, statement) = verified(&bytes, &trust, signed_on).unwrap();
            let (path, bundle) = (path.clone(), Digest::of(&bytes));
            chain::Stated { path, bundle, key: key.to_string(), statement }
        };
        self.files.keys().filter(|path| path.starts_with(file::STATEMENTS)).map(stated).collect()
    }

    fn verify(&self, question: &Question) -> Finding {
        directory(self.directory.path(), question)
    }
}

fn first(finding: &Finding) -> (&'static str, &str) {
    let failure = finding.failures.first().expect("something does not hold");
    (failure.code, &failure.file)
}

#[tokio::test]
async fn what_was_signed_is_verified_and_the_chain_is_told_back_to_the_source() {
    let case = Case::new().await;
    let finding = case.verify(&Question { root: Some(case.root), ..Question::default() });
    assert_eq!(finding.failures, []);
    assert!(finding.verified && finding.root_is_known);
    assert_eq!((finding.files, finding.statements), (case.files.len(), 2));
    let image = Digest::of(b"an image");
    let finding = case.verify(&Question { artifact: Some(image), ..Question::default() });
    let made: Vec<&str> = finding.chain.iter().map(|link| link.made.as_str()).collect();
    assert_eq!(made, ["build/pack#image", "build/compile#dist"]);
    let from = &finding.chain[1].from;
    assert!(from[1].contains("gitCommit:00112233"), "{from:?}");
    let missing = Question { artifact: Some(Digest::of(b"another")), ..Question::default() };
    assert_eq!(first(&case.verify(&missing)).0, BROKEN);
}

#[tokio::test]
async fn a_bit_flipped_anywhere_in_any_file_is_found_and_the_file_is_named() {
    let case = Case::new().await;
    let others = [file::MANIFEST, file::KEYS, file::ROOT].map(str::to_owned);
    for path in case.files.keys().cloned().chain(others) {
        let place = case.directory.path().join(&path);
        let bytes = std::fs::read(&place).unwrap();
        // Every bit of a bundle is tried where bundles are read.
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 150) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&place, &changed).unwrap();
            let finding = case.verify(&Question::default());
            assert!(!finding.verified, "byte {at} of {path} can be changed unseen");
            let named = finding.failures.iter().any(|failure| failure.file == path);
            assert!(named, "byte {at} of {path}: {:?}", finding.failures);
        }
        std::fs::write(&place, &bytes).unwrap();
    }
    assert!(case.verify(&Question::default()).verified);
}

#[tokio::test]
async fn what_is_missing_or_was_never_signed_is_named() {
    let case = Case::new().await;
    let at = |name: &str| case.directory.path().join(name);
    std::fs::write(at("artifacts/more"), b"more").unwrap();
    assert_eq!(first(&case.verify(&Question::default())), (UNLISTED, "artifacts/more"));
    std::fs::remove_file(at("artifacts/more")).unwrap();

    let link = at("artifacts/build/compile/dist/link");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let named = "artifacts/build/compile/dist/link";
    assert_eq!(first(&case.verify(&Question::default())), (UNLISTED, named));
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("run", &link).unwrap();

    let run = at("artifacts/build/compile/dist/run");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o644)).unwrap();
    let named = "artifacts/build/compile/dist/run";
    assert_eq!(first(&case.verify(&Question::default())), (CHANGED, named));
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();

    std::fs::remove_file(at("artifacts/build/pack/image")).unwrap();
    let named = "artifacts/build/pack/image";
    assert_eq!(first(&case.verify(&Question::default())), (CHANGED, named));
}

#[tokio::test]
async fn a_signed_statement_that_contradicts_the_records_is_named() {
    let mut case = Case::new().await;
    let other = Digest::of(b"another image");
    case.state("build/pack", 1, ("image", other), Vec::new()).await;
    case.seal().await;
    let finding = case.verify(&Question::default());
    let named = "statements/build/pack.1.sigstore.json";
    assert_eq!(first(&finding), (CONTRADICTION, named));
    let broken = finding.failures.iter().any(|failure| failure.code == BROKEN);
    assert!(broken, "no statement is about the image any more: {:?}", finding.failures);
}

#[tokio::test]
async fn an_artifact_with_more_links_than_are_told_is_not_verified_and_a_run_with_more_is() {
    let mut case = Case::new().await;
    // A statement for each of many things, each made from the one before.
    let thing = |number: usize| Digest::of(&number.to_be_bytes());
    let count = chain::LINKS_MAX + 1;
    for number in 0..count {
        let from = number.checked_sub(1).map(|before| Descriptor {
            name: "thing".into(),
            uri: format!("{MADE_PREFIX}{RUN}/many/{before}#thing"),
            digest: Digests::sha256(thing(before)),
            ..Descriptor::default()
        });
        let step = format!("many/{number}");
        case.state(&step, 2, ("thing", thing(number)), from.into_iter().collect()).await;
    }
    let stated = case.stated();
    let mut finding = Finding::default();
    let links = chain::links_of(thing(count - 2), &stated, &mut finding);
    assert_eq!((links.len(), finding.failures.as_slice()), (chain::LINKS_MAX, &[][..]));
    chain::links_of(thing(count - 1), &stated, &mut finding);
    assert_eq!(finding.failures.len(), 1, "{:?}", finding.failures);
    let Failure { code, what, .. } = &finding.failures[0];
    assert_eq!((*code, what.as_str()), (BROKEN, "more than 1000 links"));

    let mut finding = Finding::default();
    let all = (0..count).map(|number| (number.to_string(), thing(number)));
    let strange = ("strange".to_owned(), Digest::of(b"strange"));
    let (links, more) = chain::links(all.chain([strange]), &stated, &mut finding);
    assert_eq!((links.len(), more), (chain::LINKS_MAX, 1));
    assert_eq!(first(&finding), (BROKEN, "strange"), "what is not told is checked");
}

#[tokio::test]
async fn another_root_and_a_key_that_is_not_in_the_list_are_refused() {
    let mut case = Case::new().await;
    let other = Question { root: Some(Digest::of(b"root")), ..Question::default() };
    assert_eq!(first(&case.verify(&other)), (SIGNATURE, file::KEYS));
    case.key = Arc::new(LocalKey::generate().unwrap());
    case.seal().await;
    assert_eq!(first(&case.verify(&Question::default())), (SIGNATURE, file::MANIFEST));
}

#[tokio::test]
async fn the_newest_list_of_keys_counts_be_it_the_directory_s_or_one_that_somebody_has() {
    let case = Case::new().await;
    let hour = Duration::from_secs(3_600);
    let by = |list: &[u8]| Question { keys: Some(list.to_vec()), ..Question::default() };
    let former = case.home.ring_bytes().unwrap();
    let found = case.verify(&by(&former));
    let made_on = case.home.trust().unwrap().ring().made_at;
    assert_eq!((found.verified, found.keys_made_on), (true, Some(made_on)));

    case.home.rotate(WORD, &Next::made(WORD).unwrap(), hour, hour).await.unwrap();
    let signed = case.key.public().fingerprint().to_hex();
    case.home.revoke(WORD, &signed, "lost").await.unwrap();
    let newer = case.home.ring_bytes().unwrap();
    let is_revoked = |finding: &Finding| {
        assert_eq!(first(finding), (SIGNATURE, file::MANIFEST));
        assert!(finding.failures[0].what.contains("was revoked at"), "{:?}", finding.failures);
    };
    is_revoked(&case.verify(&by(&newer)));
    // Whoever has an older one is not led to believe it.
    std::fs::write(case.directory.path().join(file::KEYS), &newer).unwrap();
    is_revoked(&case.verify(&by(&former)));

    let other = Case::new().await.home.ring_bytes().unwrap();
    for strange in [other.as_slice(), b"{}"] {
        assert_eq!(first(&case.verify(&by(strange))), (SIGNATURE, file::KEYS));
    }
}

#[tokio::test]
async fn each_expectation_that_does_not_hold_is_said() {
    let case = Case::new().await;
    let expect = |expect: Expectation| case.verify(&Question { expect, ..Question::default() });
    let good = Expectation {
        pipeline: Some("app".into()),
        branch: Some("main".into()),
        builders: Some(BTreeSet::from(["https://maestro.dev/builders/unisolated/v1".into()])),
        materials: Some(["workspace", "source", "dist"].map(str::to_owned).into()),
        inputs: Some(BTreeMap::new()),
        hermetic: Some(false),
        steps: BTreeSet::from(["build/pack".into()]),
        ..Expectation::default()
    };
    assert_eq!(expect(good.clone()).failures, []);
    let strict = [
        Expectation { pipeline: Some("other".into()), ..good.clone() },
        Expectation { branch: Some("feature".into()), ..good.clone() },
        Expectation { builders: Some(BTreeSet::new()), ..good.clone() },
        Expectation { materials: Some(BTreeSet::new()), ..good.clone() },
        Expectation { inputs: Some(BTreeMap::from([("a".into(), json!(1))])), ..good.clone() },
        Expectation { steps: BTreeSet::from(["test/unit".into()]), ..good.clone() },
        Expectation { commit: Some("ff".into()), ..good.clone() },
        Expectation { hermetic: Some(true), ..good.clone() },
        Expectation { source: Some("git+https://example.org/a".into()), ..good },
    ];
    for wanted in strict {
        let finding = expect(wanted.clone());
        assert_eq!(first(&finding).0, UNEXPECTED, "{wanted:?}");
    }
}
