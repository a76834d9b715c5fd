//! What is known of an artifact before it goes anywhere, against a real database.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::key::Signer;
use maestro_evidence::key::home::Home;
use maestro_evidence::key::next::Next;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::provenance::{
    BUILD_TYPE, BuildDefinition, Builder, External, Internal, MADE_PREFIX, Metadata, Provenance,
    RunDetails,
};
use maestro_evidence::statement::run::{RunEvidence, file};
use maestro_evidence::statement::{Descriptor, Digests, Statement, Subject};
use maestro_evidence::store::ArtifactStore;
use maestro_policies::reload::Policies;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_server::promotion::line::PROOFS_MAX;
use maestro_server::promotion::{Archive, Proven, Unproven, Wanted};
use maestro_server::store::evidence::{self, Due};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::postgres::Database;
use crate::support::rows::project;
use crate::support::stack::{Stack, read};

const WORD: &str = "correct horse";

/// A run's evidence, signed with keys of its own.
struct Scene {
    database: Database,
    objects: ArtifactStore,
    home: Home,
    key: Arc<dyn Signer>,
    due: Due,
    files: BTreeMap<String, Digest>,
    plan: Digest,
    directory: tempfile::TempDir,
}

/// How a step made something.
struct Step {
    id: &'static str,
    builder: &'static str,
    made: Digest,
    from: Vec<Digest>,
    finished_on_ms: u64,
}

impl Scene {
    async fn new() -> Self {
        let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
        let home = Home::at(directory.path().join("keys"));
        let validity = Duration::from_secs(3_600);
        home.init(WORD, &Next::made(WORD).unwrap(), validity).await.unwrap();
        let key = home.signer(WORD).unwrap();
        let objects = ArtifactStore::local(directory.path().join("objects")).unwrap();
        let due = Due { run: RunId::generate(), project: project(), tries: 1 };
        let mut scene = Self {
            database,
            objects,
            home,
            key,
            due,
            files: BTreeMap::new(),
            plan: Digest::of(b""),
            directory,
        };
        let plan = json!({ "version": 1, "name": "app", "stages": [{ "name": "build" }],
            "nodes": [{ "id": "build/compile", "stage": 0, "action": { "name": "shell" }, "pool": "build",
                        "timeout_ms": 1000, "workspace": { "kind": "empty" } }] });
        scene.plan = scene.keep(file::PLAN, plan.to_string().as_bytes()).await;
        scene
    }

    async fn keep(&mut self, path: &str, body: &[u8]) -> Digest {
        let digest = Digest::of(body);
        evidence::keep(&self.database.pool(), self.due.run, digest, body).await.unwrap();
        self.files.insert(path.to_owned(), digest);
        digest
    }

    /// Signs and keeps the statement of a step.
    async fn state(&mut self, step: Step) {
        let Step { id, builder, made, from, finished_on_ms } = step;
        let run = self.due.run.to_string();
        let from = from.into_iter().map(|digest| Descriptor {
            uri: format!("{MADE_PREFIX}{run}/build/other#out"),
            digest: Digests::sha256(digest),
            ..Descriptor::default()
        });
        let source = Descriptor {
            name: "source".into(),
            uri: format!("git+https://example.org/{id}.git"),
            digest: Digests::git_commit("00112233445566778899aabbccddeeff00112233"),
            ..Descriptor::default()
        };
        let provenance = Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.into(),
                external_parameters: External {
                    pipeline: "app".into(),
                    step: id.into(),
                    plan: self.plan,
                    inputs: BTreeMap::new(),
                },
                internal_parameters: Internal {
                    project: "demo".into(),
                    run: run.clone(),
                    action: "shell@1".into(),
                    step: [0, 0, 0],
                    attempt: 1,
                    signed_on: Moment::now(),
                    key: None,
                    sandbox: None,
                },
                resolved_dependencies: from.chain([source]).collect(),
            },
            run_details: RunDetails {
                builder: Builder::isolating(builder),
                metadata: Metadata {
                    invocation_id: id.into(),
                    started_on: Moment::from_ms(1_000),
                    finished_on: Moment::from_ms(finished_on_ms),
                },
                byproducts: Vec::new(),
            },
        };
        let subject = Subject { name: "out".into(), digest: Digests::sha256(made) };
        let bundle =
            Statement::of(vec![subject], provenance).sign(self.key.as_ref()).await.unwrap();
        let statement = self.keep(&format!("statements/{id}.1.sigstore.json"), &bundle).await;
        evidence::note(&self.database.pool(), &self.due, made, statement).await.unwrap();
        self.files.insert(format!("artifacts/{id}/out"), made);
    }

    async fn seal(&mut self) {
        let told = RunEvidence {
            project: "demo".into(),
            run: self.due.run.to_string(),
            pipeline: "app".into(),
            plan: self.plan,
            state: "succeeded".into(),
            created_on: Moment::from_ms(1_000),
            finished_on: Moment::from_ms(9_000),
            signed_on: Moment::now(),
            left_out: Vec::new(),
        };
        let subject = |(path, digest): (&String, &Digest)| Subject {
            name: path.clone(),
            digest: Digests::sha256(*digest),
        };
        let subjects = self.files.iter().map(subject).collect();
        let bundle = Statement::of(subjects, told).sign(self.key.as_ref()).await.unwrap();
        let (pool, run, digest) = (self.database.pool(), self.due.run, Digest::of(&bundle));
        evidence::keep(&pool, run, digest, &bundle).await.unwrap();
        let row = sqlx::query("insert into evidence (run, project) values ($1, 'demo')");
        row.bind(run.uuid()).execute(&pool).await.unwrap();
        evidence::signed(&pool, run, digest, self.files.len()).await.unwrap();
    }

    async fn prove(&self, artifact: Digest) -> Result<Proven, Unproven> {
        let (pool, trust) = (self.database.pool(), self.home.trust().unwrap());
        let archive = Archive {
            pool: &pool,
            objects: &self.objects,
            trust: &trust,
            project: &self.due.project,
        };
        let (environment, by) = ("prod".to_owned(), "ada".to_owned());
        archive.prove(&Wanted { artifact, run: self.due.run, environment, by }, Moment::now()).await
    }

    /// What the policies that come with Maestro say where only these builders are accepted.
    fn reasons(&self, proven: &Proven, builders: &[&str]) -> Vec<String> {
        let data = json!({ "config": { "promotion": { "environments": {
            "prod": { "builders": builders } } } } });
        let policies = self.directory.path().join("policies");
        let global = policies.join("global");
        std::fs::create_dir_all(&global).unwrap();
        std::fs::write(global.join("data.json"), data.to_string()).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = shipped.join("../../policies/rego/promotion.rego");
        std::fs::copy(shipped, global.join("promotion.rego")).unwrap();
        let verdict = Policies::open(policies).session().leave(&self.due.project, &proven.asked);
        verdict.reasons.into_iter().map(|reason| reason.message).collect()
    }
}

fn builder(level: &str) -> String {
    format!("https://maestro.dev/builders/{level}/v1")
}

fn broken(proven: Result<Proven, Unproven>) -> String {
    match proven {
        Err(Unproven::Broken(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_builder_of_what_an_artifact_was_made_from_is_told_and_a_copy_hides_none() {
    let (dist, app) = (Digest::of(b"dist"), Digest::of(b"app"));
    for made in [app, dist] {
        let mut scene = Scene::new().await;
        let [first, second] = ["unisolated", "bubblewrap"];
        let (from, id) = (Vec::new(), "build/compile");
        scene.state(Step { id, builder: first, made: dist, from, finished_on_ms: 2_000 }).await;
        // Where it is the same, the step has only handed it on.
        let (from, id) = (vec![dist], "build/pack");
        scene.state(Step { id, builder: second, made, from, finished_on_ms: 3_000 }).await;
        scene.seal().await;
        let proven = scene.prove(made).await.unwrap();
        let builders: Vec<&str> = proven.asked.builders.iter().map(String::as_str).collect();
        assert_eq!(builders, [builder(second), builder(first)]);
        let sources: Vec<&str> =
            proven.asked.sources.iter().map(|source| source.uri.as_str()).collect();
        let git =
            ["build/compile", "build/pack"].map(|id| format!("git+https://example.org/{id}.git"));
        assert_eq!(sources, git);
        assert_eq!(proven.read.len(), 3, "the manifest and both statements");
        let step = if made == dist { "build/compile" } else { "build/pack" };
        assert_eq!(proven.asked.artifact.step, step, "what made it first");
        let reasons = scene.reasons(&proven, &[&builder(second)]);
        let [reason] = reasons.as_slice() else { panic!("{reasons:?}") };
        assert!(reason.contains("built by https://maestro.dev/builders/unisolated/v1"), "{reason}");
        assert!(scene.reasons(&proven, &[&builder(first), &builder(second)]).is_empty());
    }
}

#[tokio::test]
async fn what_only_copies_are_known_of_is_not_proven() {
    let (plain, packed) = (Digest::of(b"plain"), Digest::of(b"packed"));
    let step = |id, made, from| Step {
        id,
        builder: "bubblewrap",
        made,
        from: vec![from],
        finished_on_ms: 2_000,
    };
    for steps in [
        vec![step("build/copy", plain, plain)],
        vec![step("build/pack", packed, plain), step("build/unpack", plain, packed)],
    ] {
        let mut scene = Scene::new().await;
        for step in steps {
            scene.state(step).await;
        }
        scene.seal().await;
        let what = broken(scene.prove(plain).await);
        assert!(what.contains("made from itself"), "{what}");
    }
}

#[tokio::test]
async fn statements_of_however_many_other_runs_are_not_in_the_way() {
    let (mut scene, made) = (Scene::new().await, Digest::of(b"dist"));
    let (id, builder) = ("build/compile", "bubblewrap");
    scene.state(Step { id, builder, made, from: Vec::new(), finished_on_ms: 2_000 }).await;
    scene.seal().await;
    let younger = "insert into evidence_subject (project, digest, run, statement)
        select 'demo', $1, ('ffffffff-ffff-7fff-bfff-' || lpad(to_hex(n), 12, '0'))::uuid,
               sha256(n::text::bytea) from generate_series(1, 1500) n";
    let younger = sqlx::query(younger).bind(made.as_bytes().as_slice());
    younger.execute(&scene.database.pool()).await.unwrap();
    assert_eq!(scene.prove(made).await.unwrap().read.len(), 2);
}

#[tokio::test]
async fn a_key_that_was_revoked_stops_a_promotion() {
    let (mut scene, made) = (Scene::new().await, Digest::of(b"dist"));
    let (id, builder) = ("build/compile", "bubblewrap");
    scene.state(Step { id, builder, made, from: Vec::new(), finished_on_ms: 2_000 }).await;
    scene.seal().await;
    scene.prove(made).await.unwrap();
    let key = scene.key.public().fingerprint().to_hex();
    scene.home.revoke(WORD, &key, "a laptop was stolen").await.unwrap();
    let what = broken(scene.prove(made).await);
    assert!(what.contains("was revoked") && what.contains("a laptop was stolen"), "{what}");
}

#[tokio::test]
async fn more_promotions_than_are_verified_at_once_are_refused_until_one_ends() {
    let stack = Stack::without_coordinator().await;
    let ask = async || {
        let body = json!({ "artifact": Digest::of(b"app"), "environment": "prod" });
        stack.post("/v1/projects/demo/promotions", &body).await
    };
    let mut places: Vec<_> = (0..PROOFS_MAX).map(|_| stack.proofs.place().unwrap()).collect();
    let problem: Value = read(ask().await, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(problem["code"], "MAE-2013");
    assert!(problem["detail"].as_str().unwrap().contains("are under way"), "{problem}");
    places.pop();
    let problem: Value = read(ask().await, StatusCode::CONFLICT).await;
    assert_eq!(problem["code"], "MAE-7102", "it comes as far as the key that is not there");
    assert!(stack.proofs.place().is_some(), "and leaves its place");
}
