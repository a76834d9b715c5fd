//! Policies that change while they are asked.

use std::fs;
use std::path::Path;

use maestro_policies::input::Cost;
use maestro_policies::reload::{Policies, Session};
use maestro_schemas::name::ProjectName;
use tempfile::TempDir;

use crate::support::asked;

const DENY_A: &str =
    "package maestro.routing\n\ndeny contains \"not a\" if input.selected_model == \"a\"\n";
const DENY_B: &str =
    "package maestro.routing\n\ndeny contains \"not b\" if input.selected_model == \"b\"\n";
const EMPTY: &str = "package maestro.routing\n";

struct Scene {
    directory: TempDir,
    policies: Policies,
    session: Session,
}

impl Scene {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(directory.path(), name, text);
        }
        let policies = Policies::open(directory.path());
        Self { session: policies.session(), policies, directory }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.directory.path(), name, text);
        self.policies.poll();
    }

    fn remove(&self, name: &str) {
        let path = self.directory.path().join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self.policies.poll();
    }

    fn denied(&mut self, project: &str, model: &str) -> Vec<String> {
        let project: ProjectName = project.parse().unwrap();
        let verdict = self.session.verdict(&project, &asked(&[], model));
        assert_eq!(verdict.allowed, verdict.reasons.is_empty());
        verdict.reasons.into_iter().map(|reason| reason.message).collect()
    }

    fn alarms(&self) -> Vec<String> {
        self.policies.status().faults.iter().map(ToString::to_string).collect()
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn the_next_decision_uses_the_new_bundle() {
    let mut scene = Scene::with(&[("global/a.rego", DENY_A)]);
    assert_eq!(scene.denied("p", "a"), ["not a"]);
    let before = scene.policies.status();
    assert_eq!((before.version, before.loaded.as_slice()), (1, &["global".to_owned()][..]));
    scene.write("global/a.rego", DENY_B);
    assert_eq!(scene.denied("p", "b"), ["not b"]);
    assert!(scene.denied("p", "a").is_empty());
    let after = scene.policies.status();
    assert_eq!((after.version, scene.session.version()), (2, 2));
    assert_ne!(after.digest, before.digest);
    assert_eq!(scene.policies.poll(), after, "nothing changed");
}

#[test]
fn a_bad_file_keeps_the_old_bundle_and_alarms_until_it_is_mended() {
    let mut scene = Scene::with(&[("global/a.rego", DENY_A)]);
    scene.write("global/a.rego", "package maestro.routing\n\ndeny contains\n");
    assert_eq!(scene.denied("p", "a"), ["not a"]);
    assert!(scene.denied("p", "b").is_empty());
    assert!(scene.alarms()[0].starts_with("global/a.rego:4:"), "{:?}", scene.alarms());
    assert_eq!(scene.policies.status().version, 1);
    scene.policies.poll();
    assert_eq!(scene.alarms().len(), 1, "it stays");
    scene.write("global/a.rego", DENY_A);
    assert!(scene.alarms().is_empty());
    scene.write("global/data.json", "{");
    assert_eq!(scene.alarms().len(), 1);
    scene.remove("global/data.json");
    assert!(scene.alarms().is_empty());
}

#[test]
fn a_policy_file_that_is_removed_closes_its_hook_and_no_other() {
    let cost = "package maestro.cost\n\nviolation contains \"dear\" if input.estimated_cost > 1\n";
    let mut scene = Scene::with(&[("global/a.rego", DENY_A), ("global/cost.rego", cost)]);
    assert!(scene.denied("p", "b").is_empty());
    scene.remove("global/a.rego");
    assert!(scene.denied("p", "b")[0].contains("maestro.routing is gone"));
    assert_eq!(scene.alarms().len(), 1);
    let project: ProjectName = "p".parse().unwrap();
    assert!(scene.session.verdict(&project, &Cost::default()).allowed);
    scene.write("global/empty.rego", EMPTY);
    assert!(scene.denied("p", "a").is_empty(), "it was taken away on purpose");
    assert!(scene.alarms().is_empty());
}

#[test]
fn a_directory_that_is_removed_closes_everything_until_it_is_back() {
    let mut scene = Scene::with(&[("global/a.rego", DENY_A)]);
    assert!(scene.denied("p", "b").is_empty());
    scene.remove("global");
    assert!(
        scene.denied("p", "b")[0].contains("the directory is gone"),
        "{:?}",
        scene.denied("p", "b")
    );
    assert_eq!(scene.alarms().len(), 1);
    assert!(scene.policies.status().loaded.is_empty());
    scene.write("global/a.rego", DENY_A);
    assert!(scene.denied("p", "b").is_empty() && scene.alarms().is_empty());
    fs::remove_dir_all(scene.directory.path()).unwrap();
    scene.policies.poll();
    assert_eq!(scene.denied("p", "b").len(), 1);
}

#[test]
fn where_no_bundle_was_ever_loaded_everything_is_denied() {
    let mut scene = Scene::with(&[]);
    assert_eq!(scene.denied("p", "b"), ["no bundle was ever loaded"]);
    assert_eq!(scene.alarms().len(), 1);
    let mut scene = Scene::with(&[("global/a.rego", "packag")]);
    assert!(
        scene.denied("p", "b")[0].contains("global/a.rego:1:1"),
        "{:?}",
        scene.denied("p", "b")
    );
    scene.write("global/a.rego", EMPTY);
    assert!(scene.denied("p", "b").is_empty());
}

#[test]
fn a_project_is_asked_its_own_bundle_as_well_and_others_are_not() {
    let mut scene = Scene::with(&[("global/a.rego", DENY_A), ("projects/one/b.rego", DENY_B)]);
    assert_eq!(scene.denied("one", "a"), ["not a"]);
    assert_eq!(scene.denied("one", "b"), ["not b"]);
    assert!(scene.denied("two", "b").is_empty());
    scene.remove("projects/one");
    assert!(scene.denied("one", "c")[0].contains("the directory is gone"));
    assert!(scene.denied("two", "b").is_empty());
    scene.write("projects/one/b.rego", "packag");
    assert_eq!(scene.denied("one", "c").len(), 1, "a bad one does not open what is closed");
    scene.write("projects/one/b.rego", EMPTY);
    assert!(scene.denied("one", "b").is_empty());
}

#[test]
fn a_name_that_is_no_project_is_an_alarm() {
    let scene = Scene::with(&[("global/a.rego", DENY_A), ("projects/No Name/a.rego", DENY_A)]);
    assert_eq!(scene.alarms().len(), 1);
}

#[test]
fn each_thread_sees_the_same_version() {
    let scene = Scene::with(&[("global/a.rego", DENY_A)]);
    let mut sessions: Vec<_> = (0..4).map(|_| scene.policies.session()).collect();
    scene.write("global/a.rego", DENY_B);
    std::thread::scope(|threads| {
        for session in &mut sessions {
            threads.spawn(move || {
                let project: ProjectName = "p".parse().unwrap();
                assert!(!session.verdict(&project, &asked(&[], "b")).allowed);
                assert_eq!(session.version(), 2);
            });
        }
    });
}
