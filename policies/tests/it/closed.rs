//! Whatever goes wrong is a denial that says so.

use crate::support::{asked, evaluator};
use maestro_policies::engine::{QUESTION_BYTES_MAX, Question};
use maestro_policies::input::Cost;
use maestro_policies::reload::Policies;
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
