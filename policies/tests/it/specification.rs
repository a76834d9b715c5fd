//! The two policies that Maestro's users begin with, as they are written there in Rego v0 and in v1.

use crate::support::{asked, evaluator, fault};
use maestro_policies::input::Cost;

const ROUTING_V0: &str = r#"package maestro.routing

default allow = false

allow {
  input.step_tags[_] == "pii"
  input.selected_model == "ig-local-70b"
}

allow {
  not input.step_tags[_] == "pii"
}
"#;

const COST_V0: &str = r#"package maestro.cost

violation[reason] {
  input.estimated_cost > input.step_budget
  reason := sprintf("Step cost %.4f exceeds budget %.4f", [input.estimated_cost, input.step_budget])
}
"#;

fn marked(text: &str) -> String {
    format!("# rego: v0\n{text}")
}

fn v1(text: &str) -> String {
    text.replace("allow {", "allow if {")
        .replace("default allow =", "default allow :=")
        .replace("violation[reason] {", "violation contains reason if {")
}

#[test]
fn pii_goes_to_the_local_model_only_whatever_other_tags_there_are() {
    for text in [marked(ROUTING_V0), v1(ROUTING_V0)] {
        let mut evaluator = evaluator(&[("routing.rego", &text)]);
        let mut allowed =
            |tags: &[&str], model: &str| evaluator.verdict(&asked(tags, model)).allowed;
        assert!(allowed(&[], "gpt"));
        assert!(allowed(&["draft"], "gpt"));
        assert!(allowed(&["draft", "final"], "gpt"));
        for tags in [&["pii"][..], &["a", "pii"], &["pii", "z"], &["a", "pii", "z"]] {
            assert!(!allowed(tags, "gpt"), "{tags:?}");
            assert!(allowed(tags, "ig-local-70b"), "{tags:?}");
        }
    }
}

#[test]
fn a_denial_without_words_names_the_rule_its_places_and_what_they_ask_for() {
    let mut evaluator = evaluator(&[("routing.rego", &v1(ROUTING_V0))]);
    let verdict = evaluator.verdict(&asked(&["pii", "x"], "gpt"));
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(reason.rule, "data.maestro.routing.allow");
    assert!(reason.message.contains("routing.rego:5, routing.rego:10 ask for"), "{reason:?}");
    assert!(
        reason.message.contains(
            r#"(input.step_tags[_] == "pii" and input.selected_model == "ig-local-70b")"#
        ),
        "{reason:?}"
    );
    assert!(reason.message.contains(r#"(not input.step_tags[_] == "pii")"#), "{reason:?}");
}

#[test]
fn a_step_above_its_budget_is_denied_in_the_words_of_the_policy() {
    let cost = |estimated_cost, step_budget| Cost {
        estimated_cost: Some(estimated_cost),
        step_budget: Some(step_budget),
        ..Cost::default()
    };
    for text in [marked(COST_V0), v1(COST_V0)] {
        let mut evaluator = evaluator(&[("cost.rego", &text)]);
        assert!(evaluator.verdict(&cost(0.2, 0.2)).allowed);
        let verdict = evaluator.verdict(&cost(0.5, 0.25));
        let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
        assert_eq!(reason.rule, "data.maestro.cost.violation");
        assert_eq!(reason.message, "Step cost 0.5000 exceeds budget 0.2500");
        let whole = evaluator.verdict(&cost(2.0, 1.0));
        assert_eq!(whole.reasons[0].message, "Step cost 2.0000 exceeds budget 1.0000");
        assert!(!evaluator.verdict(&cost(f64::NAN, 1.0)).allowed);
    }
}

#[test]
fn both_may_lie_in_one_bundle_with_v1_beside_them() {
    let files = [
        ("routing.rego", marked(ROUTING_V0)),
        ("cost.rego", marked(COST_V0)),
        (
            "prompts.rego",
            "package maestro.prompts\n\ndeny contains \"no\" if data.maestro.routing.allow\n"
                .to_owned(),
        ),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut evaluator = evaluator(&files);
    assert!(!evaluator.verdict(&asked(&["pii"], "gpt")).allowed);
}

#[test]
fn without_the_mark_they_are_refused_with_the_form_to_write() {
    let found = fault(&[("routing.rego", ROUTING_V0)]);
    assert_eq!((found.code, found.line, found.column), ("MAE-5002", 5, 7));
    assert!(found.hint.unwrap().contains("`allow if {`"));
    let found = fault(&[("cost.rego", COST_V0)]);
    assert_eq!((found.code, found.line), ("MAE-5002", 3));
    assert!(found.hint.unwrap().contains("`violation contains reason if {`"));
}
