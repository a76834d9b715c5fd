use maestro_schemas::api::plans::Catalogue;

use super::*;
use crate::plan::sources::{MemoryFiles, Sources};
use crate::plan::{Request, UNKNOWN_DURATIONS, compile};

/// The answers for steps with these lines each, of which the results of some keys are kept.
fn said(steps: &[&str], known: &dyn Fn(&Plan) -> Vec<Digest>) -> Vec<PlannedStep> {
    let mut text = "name: x\nstages:\n  - name: s\n    steps:\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        text.push_str(&format!("      - {{ name: n{number}, run: shell, {step} }}\n"));
    }
    let files = MemoryFiles(BTreeMap::new());
    let tree = files.tree();
    let compiled = compile(Request {
        file: "maestro.yaml",
        text: &text,
        inputs: &BTreeMap::new(),
        sources: Sources { files: &files, tree: Some(&tree), git: None },
        catalogue: &Catalogue::default(),
        durations: &UNKNOWN_DURATIONS,
    });
    let plan = compiled.expect("a plan").plan;
    let kept = known(&plan);
    let result = |key: &Digest| kept.contains(key);
    answers(&plan, &Known { result: &result, ..Known::NOTHING })
}

const ONE: &str = "effect: pure, with: { script: one }";
const TWO: &str = "effect: pure, with: { script: two }";
const ACTS: &str = "effect: idempotent, with: { script: one }";

#[test]
fn of_steps_with_one_key_and_no_result_each_names_another_that_it_depends_on() {
    let said = said(&[ONE, TWO, ONE, ONE], &|_| Vec::new());
    let told: Vec<_> = said.iter().map(|step| (step.answer, step.why.as_str())).collect();
    let of = |other: &str| {
        format!("s/{other} has the same key: one of them may take what the other made")
    };
    assert_eq!(told[0], (PlanAnswer::Depends, of("n2").as_str()));
    assert_eq!(told[1].0, PlanAnswer::Runs);
    assert_eq!(told[2], (PlanAnswer::Depends, of("n0").as_str()));
    assert_eq!(told[3], (PlanAnswer::Depends, of("n0").as_str()));
}

#[test]
fn a_step_depends_on_one_with_its_key_of_which_it_is_not_known_whether_it_runs() {
    let conditional = "if: failure(), effect: pure, with: { script: one }";
    let said = said(&[ONE, conditional], &|_| Vec::new());
    assert_eq!(said[0].key, said[1].key);
    assert_eq!(said[0].answer, PlanAnswer::Depends);
    assert!(said[0].why.starts_with("s/n1 has the same key"), "{}", said[0].why);
    assert_eq!(said[1].why, "it runs if failure()");
}

#[test]
fn steps_with_one_key_are_cached_where_its_result_is_kept_and_run_where_results_are_not() {
    let kept = said(&[ONE, ONE], &|plan| {
        plan.nodes.iter().filter_map(|node| Some(node.key.as_ref()?.digest)).collect()
    });
    assert!(kept.iter().all(|step| step.answer == PlanAnswer::Cached), "{kept:?}");
    let acts = said(&[ACTS, ACTS, ONE], &|_| Vec::new());
    assert!(acts.iter().all(|step| step.answer == PlanAnswer::Runs), "{acts:?}");
}
