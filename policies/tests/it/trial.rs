//! Tests of policies: what failed, where, and what no test came to.

use maestro_policies::trial;

use crate::support::bundle;

const POLICY: &str = "package maestro.routing\n\ndeny contains \"a\" if {\n\tinput.selected_model == \"a\"\n}\n\ndeny contains \"b\" if {\n\tinput.selected_model == \"b\"\n\tinput.candidate.local\n}\n";

#[test]
fn a_test_that_fails_is_told_with_the_line_that_did_not_hold() {
    let tests = "package routing_test\n\nimport data.maestro.routing\n\ntest_good if {\n\tcount(routing.deny) == 1 with input as {\"selected_model\": \"a\"}\n}\n\ntest_bad if {\n\tx := 1\n\tx == 2\n\tx == 3\n}\n\ntest_error if {\n\tto_number(\"x\") == 1\n}\n\nhelps := 1\n";
    let report = trial::run(&bundle(&[("a.rego", POLICY), ("a_test.rego", tests)])).unwrap();
    let of = |test: &trial::Trial| {
        (test.name.clone(), test.line, test.failure.clone().map(|f| (f.line, f.text)))
    };
    let told: Vec<_> = report.tests.iter().map(of).collect();
    let name = |test: &str| format!("data.routing_test.{test}");
    assert_eq!(
        told,
        [
            (name("test_good"), 5, None),
            (name("test_bad"), 9, Some((11, "x == 2".to_owned()))),
            (name("test_error"), 15, Some((16, "to_number(\"x\") == 1".to_owned()))),
        ]
    );
    assert_eq!(report.failed(), 2);
    assert!(report.tests[2].failure.as_ref().unwrap().what.contains("a_test.rego:16:"));
}

#[test]
fn lines_that_no_test_comes_to_are_named() {
    let tests = "package routing_test\n\ntest_a if {\n\tcount(data.maestro.routing.deny) == 0 with input as {\"selected_model\": \"c\"}\n}\n";
    let report = trial::run(&bundle(&[("a.rego", POLICY), ("a_test.rego", tests)])).unwrap();
    assert_eq!(report.failed(), 0, "{report:?}");
    assert_eq!(report.coverage[0].missed, [3, 7, 9]);
}

#[test]
fn policies_that_no_test_comes_to_have_nothing_covered() {
    let report = trial::run(&bundle(&[("a.rego", POLICY)])).unwrap();
    assert!(report.tests.is_empty());
    assert_eq!(report.coverage[0].covered, 0);
}
