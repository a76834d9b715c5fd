//! Whatever goes wrong is a denial that says so.

use std::collections::BTreeSet;

use crate::support::{asked, evaluator};
use maestro_policies::engine::{QUESTION_BYTES_MAX, Question};
use maestro_policies::input::{Bills, Cost, Evidenced, Made, Now, Promotion, StepEnd};
use maestro_policies::reload::Policies;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::NODES_MAX;
use maestro_schemas::verdict::Hook;

#[test]
fn a_policy_that_fails_denies_with_its_place() {
    let text = "package maestro.routing\n\ndeny contains \"a\" if {\n\tto_number(input.selected_model) > 1\n}\n";
    let mut evaluator = evaluator(&[("a.rego", text)]);
    let verdict = evaluator.verdict(&asked(&[], "no number"));
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(reason.rule, "data.maestro.routing.deny");
    assert!(reason.message.contains("a.rego:4:"), "{reason:?}");
    assert!(reason.message.contains("so it denies [MAE-5006]"), "{reason:?}");
    assert!(evaluator.verdict(&asked(&[], "1")).allowed);
}

#[test]
fn an_allow_that_is_not_defined_denies() {
    let mut evaluator = evaluator(&[(
        "a.rego",
        "package maestro.routing\n\nallow if input.selected_model == \"a\"\n",
    )]);
    assert!(evaluator.verdict(&asked(&[], "a")).allowed);
    let verdict = evaluator.verdict(&asked(&[], "b"));
    assert!(verdict.reasons[0].message.starts_with("it is not defined"), "{verdict:?}");
}

#[test]
fn both_allow_and_deny_have_a_say() {
    let text = "package maestro.routing\n\ndefault allow := true\n\ndeny contains \"one\" if input.selected_model == \"a\"\n\nviolation contains \"two\" if input.selected_model == \"a\"\n";
    let mut evaluator = evaluator(&[("a.rego", text)]);
    assert!(evaluator.verdict(&asked(&[], "b")).allowed);
    let reasons = evaluator.verdict(&asked(&[], "a")).reasons;
    let rules: Vec<_> = reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert_eq!(rules, ["data.maestro.routing.deny", "data.maestro.routing.violation"]);
}

#[test]
fn a_hook_without_a_policy_in_the_bundle_is_allowed() {
    let mut evaluator =
        evaluator(&[("a.rego", "package maestro.routing\n\ndeny contains \"a\"\n")]);
    assert!(!evaluator.verdict(&asked(&[], "a")).allowed);
    assert!(evaluator.verdict(&Cost::default()).allowed);
}

#[test]
fn a_question_that_is_too_long_is_denied() {
    let mut evaluator = evaluator(&[("a.rego", "package maestro.routing\n")]);
    let verdict = evaluator.verdict(&asked(&[], &"a".repeat(QUESTION_BYTES_MAX)));
    assert!(verdict.reasons[0].message.contains("of 65536"), "{verdict:?}");
}

#[test]
fn a_text_that_is_no_input_of_the_hook_is_no_question() {
    let asked = r#"{"estimated_cost": 1, "step_budget": 2, "project": "p", "step": "s"}"#;
    assert!(Question::read(Hook::Cost, asked).is_ok());
    assert!(Question::read(Hook::RouteChoice, asked).is_err());
    let misspelt = asked.replace("step_budget", "stepbudget");
    assert!(Question::read(Hook::Cost, &misspelt).unwrap_err().to_string().contains("stepbudget"));
}

#[test]
fn the_same_question_has_the_same_answer_and_digests() {
    let text = "package maestro.routing\n\ndeny contains \"a\" if input.selected_model == \"a\"\n";
    let mut one = evaluator(&[("a.rego", text)]);
    let mut other = one.clone();
    let first = one.verdict(&asked(&["x"], "a"));
    assert_eq!(first, one.verdict(&asked(&["x"], "a")), "from memory");
    assert_eq!(first, other.verdict(&asked(&["x"], "a")), "anew, by a clone");
    assert_ne!(first.input, one.verdict(&asked(&["y"], "a")).input);
}

#[test]
fn a_hook_that_nothing_decides_need_not_be_asked_and_one_whose_bundle_is_missing_must() {
    let dir = tempfile::tempdir().unwrap();
    let project = "demo".parse().unwrap();
    let may_deny = |policies: &Policies, hook| policies.session().may_deny(&project, hook);
    assert!(may_deny(&Policies::open(dir.path()), Hook::Cost), "there is no bundle");
    let put = |place: &str, text: &str| {
        std::fs::create_dir_all(dir.path().join(place)).unwrap();
        std::fs::write(dir.path().join(place).join("a.rego"), text).unwrap();
    };
    put("global", "package maestro.routing\n\nallow := true\n");
    let policies = Policies::open(dir.path());
    assert!(may_deny(&policies, Hook::RouteChoice) && !may_deny(&policies, Hook::Cost));
    put("projects/demo", "package maestro.cost\n");
    policies.poll();
    assert!(!may_deny(&policies, Hook::Cost), "the package says nothing");
    put("projects/demo", "package maestro.cost\n\ndeny contains \"x\" if input.step == \"y\"\n");
    policies.poll();
    assert!(may_deny(&policies, Hook::Cost));
    let other = "other".parse().unwrap();
    assert!(!policies.session().may_deny(&other, Hook::Cost));
    put("projects/demo", "package elsewhere\n");
    policies.poll();
    assert!(may_deny(&policies, Hook::Cost), "what was there and is gone denies");
}

/// A promotion by a run with so many steps, each of which succeeded.
fn promotion(steps: usize) -> Promotion {
    let step = |number: usize| StepEnd {
        name: format!("test/a-step-whose-name-is-about-as-long-as-they-come/{number}"),
        action: "test.unit".to_owned(),
        end: "succeeded".to_owned(),
    };
    Promotion {
        project: "demo".to_owned(),
        environment: "prod".to_owned(),
        by: "ada".to_owned(),
        now: Now::default(),
        artifact: Made {
            digest: Digest::of(b"x"),
            step: "build/pack".to_owned(),
            role: "app".to_owned(),
            age_hours: 1.0,
        },
        run: Evidenced { state: "succeeded".to_owned(), ..Evidenced::default() },
        keys: BTreeSet::new(),
        builders: BTreeSet::new(),
        sources: Vec::new(),
        steps: (0..steps).map(step).collect(),
        sbom: Bills::default(),
    }
}

#[test]
fn an_artifact_of_the_largest_run_is_asked_about_and_may_go() {
    let demands = r#"{ "states": ["succeeded"], "actions": ["test.unit"],
        "steps": ["test/a-step-whose-name-is-about-as-long-as-they-come/9999"] }"#;
    let data = format!(
        r#"{{ "config": {{ "promotion": {{ "environments": {{ "prod": {demands} }} }} }} }}"#
    );
    let policy = include_str!("../../rego/promotion.rego");
    let mut evaluator = evaluator(&[("promotion.rego", policy), ("data.json", &data)]);
    let mut asked = promotion(NODES_MAX);
    assert!(serde_json::to_string(&asked).unwrap().len() > QUESTION_BYTES_MAX);
    let verdict = evaluator.verdict(&asked);
    assert!(verdict.allowed, "{:?}", verdict.reasons);
    asked.steps[NODES_MAX - 1].end = "failed".to_owned();
    let messages: Vec<String> =
        evaluator.verdict(&asked).reasons.into_iter().map(|reason| reason.message).collect();
    let words = ["/9999 ended as failed", "/9999, which runs test.unit, ended as failed"];
    assert!(words.iter().all(|words| messages.iter().any(|said| said.contains(words))));
    assert_eq!(messages.len(), words.len(), "{messages:?}");
    asked.steps[0].name = "a".repeat(4 << 20);
    assert!(evaluator.verdict(&asked).reasons[0].message.contains("of 4194304"));
}

#[test]
fn only_the_global_policies_give_leave_and_a_projects_own_take_away_of_it() {
    let (allow, deny) = ("allow := true\n", "deny contains \"no\" if input.by == \"eve\"\n");
    let silent = "package maestro.cost\n";
    let of = |rules: &str| format!("package maestro.promotion\n\n{rules}");
    for (global, own, by, permitted) in [
        (of(allow), None, "ada", true),
        (of(allow), Some(of(deny)), "ada", true),
        (of(allow), Some(of(deny)), "eve", false),
        (of(allow), Some(of("allow := false\n")), "ada", false),
        (of(deny), None, "ada", false),
        (of(deny), Some(of(allow)), "ada", false),
        (of(""), Some(of(allow)), "ada", false),
        (silent.to_owned(), Some(of(allow)), "ada", false),
        (silent.to_owned(), None, "ada", false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        for (place, text) in [("global", Some(&global)), ("projects/demo", own.as_ref())] {
            let Some(text) = text else { continue };
            std::fs::create_dir_all(directory.path().join(place)).unwrap();
            std::fs::write(directory.path().join(place).join("a.rego"), text).unwrap();
        }
        let mut session = Policies::open(directory.path()).session();
        let asked = Promotion { by: by.to_owned(), ..promotion(1) };
        let verdict = session.leave(&"demo".parse().unwrap(), &asked);
        assert_eq!(verdict.allowed, permitted, "{global} with {own:?}: {:?}", verdict.reasons);
        assert_eq!(verdict.allowed, verdict.reasons.is_empty());
    }
}
