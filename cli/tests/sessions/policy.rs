//! `maestro policy`, as people and CI call it.

use crate::Session;

const COST: &str = "package maestro.cost\n\nviolation contains \"too dear\" if input.estimated_cost > input.step_budget\n";
const STEP: &str =
    r#"{"estimated_cost": 0.5, "step_budget": 0.25, "project": "acme", "step": "review"}"#;

#[test]
fn the_bundle_that_comes_with_maestro_is_valid_and_its_tests_pass() {
    let session = Session::new(&[]);
    let done = session.run(&["policy", "check"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(
        done.stdout.contains("4 files for route-choice, cost, prompt-use, promotion"),
        "{}",
        done.stdout
    );
    let done = session.run(&["policy", "test"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stdout.contains("✓ data.maestro.cost_test."), "{}", done.stdout);
}

#[test]
fn a_fault_is_told_with_place_code_and_hint() {
    let old = "package maestro.cost\n\nviolation[reason] {\n  reason := \"no\"\n}\n";
    let session = Session::new(&[("p/cost.rego", old)]);
    let done = session.run(&["policy", "check", "p"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(
        done.stderr.starts_with("error[MAE-5002]: p does not compile\n  cost.rego:3:19: "),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("hint: write `violation contains reason if {`"),
        "{}",
        done.stderr
    );
    let done = session.run(&["policy", "check", "p", "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    let report = done.json();
    assert_eq!(report["valid"], false);
    assert_eq!(
        (&report["faults"][0]["line"], &report["faults"][0]["column"]),
        (&3.into(), &19.into())
    );
    assert_eq!(session.run(&["policy", "check", "nowhere"]).code, 6);
}

#[test]
fn a_test_that_fails_ends_with_1_and_names_its_line() {
    let tests = "package cost_test\n\ntest_no if {\n\tcount(data.maestro.cost.violation) == 7 with input as {}\n}\n";
    let session = Session::new(&[("p/cost.rego", COST), ("p/cost_test.rego", tests)]);
    let done = session.run(&["policy", "test", "p"]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    assert!(done.stdout.contains("cost_test.rego:4: this is not true"), "{}", done.stdout);
    assert!(done.stdout.ends_with("0 passed, 1 failed\n"), "{}", done.stdout);
    let report = session.run(&["policy", "test", "p", "--json"]).json();
    assert_eq!(report["tests"][0]["failure"]["line"], 4);
    let session = Session::new(&[("p/cost.rego", COST)]);
    assert_eq!(session.run(&["policy", "test", "p"]).code, 1, "no test is no proof");
}

#[test]
fn a_denial_is_explained_and_ends_with_5() {
    let session = Session::new(&[("p/cost.rego", COST), ("step.json", STEP)]);
    let words = ["policy", "explain", "--hook", "cost", "--input", "step.json", "--bundle", "p"];
    let done = session.run(&words);
    assert_eq!((done.code, done.stderr.as_str()), (5, ""));
    assert!(
        done.stdout
            .starts_with("cost: denied\n  data.maestro.cost.violation: too dear\nbundle sha256:"),
        "{}",
        done.stdout
    );
    let verdict = session.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!((&verdict["allowed"], &verdict["hook"]), (&false.into(), &"cost".into()));
    let shipped = session.run(&words[..6]);
    assert!(
        shipped.stdout.contains("Step cost 0.5000 exceeds budget 0.2500"),
        "{}",
        shipped.stdout
    );
    let cheap = Session::new(&[("step.json", &STEP.replace("0.5", "0.2"))]);
    assert_eq!(cheap.run(&words[..6]).code, 0);
}

#[test]
fn a_file_that_is_no_input_of_the_hook_is_refused() {
    let session = Session::new(&[("step.json", &STEP.replace("step_budget", "stepbudget"))]);
    let done = session.run(&["policy", "explain", "--hook", "cost", "--input", "step.json"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(
        done.stderr.starts_with("error[MAE-5007]: step.json is no input of the hook cost"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("unknown field `stepbudget`"), "{}", done.stderr);
    let done = session.run(&["policy", "explain", "--hook", "none", "--input", "step.json"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("route-choice, cost, prompt-use"), "{}", done.stderr);
}
