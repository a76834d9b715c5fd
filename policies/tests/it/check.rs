//! Faults are found before anything is asked, with place, what was found, and what to write.

use crate::support::{evaluator, fault, faults};

#[test]
fn a_field_that_the_hook_does_not_have_is_told_with_the_one_that_was_meant() {
    let text = "package maestro.routing\n\ndeny contains \"a\" if input.selectd_model == \"a\"\n";
    let found = fault(&[("a.rego", text)]);
    assert_eq!((found.code, found.line, found.column), ("MAE-5004", 3, 28), "{found}");
    assert_eq!(found.hint.as_deref(), Some("did you mean selected_model?"));
    let text =
        "package maestro.routing\n\ndeny contains \"a\" if input.candidate[\"modl\"] == \"a\"\n";
    assert_eq!(
        fault(&[("a.rego", text)]).what,
        "the input of route-choice has no field candidate.modl"
    );
    let text =
        "package maestro.cost\n\nviolation contains \"a\" if input.estimated_cost.euro > 1\n";
    evaluator(&[("a.rego", text)]);
    let other = "package lib\n\nf if input.whatever\n";
    evaluator(&[("a.rego", other)]);
}

#[test]
fn a_function_that_there_is_not_is_told_with_the_one_that_was_meant() {
    let text = "package a\n\nx := lowr(\"A\")\n\ny := data.b.f(1)\n";
    let found = faults(&[("a.rego", text)]);
    let places: Vec<_> = found.iter().map(|fault| (fault.line, fault.column, fault.code)).collect();
    assert_eq!(places, [(3, 6, "MAE-5003"), (5, 6, "MAE-5003")]);
    assert_eq!(found[0].hint.as_deref(), Some("did you mean lower?"));
    evaluator(&[
        ("a.rego", "package a\n\nimport data.b\n\nx := b.f(1)\n\ny := data.b.f(2)\n"),
        ("b.rego", "package b\n\nf(x) := x\n"),
    ]);
}

#[test]
fn a_variable_that_nothing_gives_a_value_is_told() {
    let found = fault(&[("a.rego", "package a\n\nallow if { x = 1; x == y }\n")]);
    assert_eq!((found.code, found.line, found.column), ("MAE-5004", 3, 24));
    assert!(found.what.contains("`y` is unsafe"), "{found}");
    let found = fault(&[("a.rego", "package a\n\nx := nothing\n")]);
    assert_eq!((found.code, found.line), ("MAE-5004", 3));
}

#[test]
fn every_file_that_is_wrong_is_told_at_once() {
    let found = faults(&[
        ("a.rego", "package"),
        ("b.rego", "package b\nx := :="),
        ("data.json", "{\n  \"a\": }"),
    ]);
    let files: Vec<_> = found.iter().map(|fault| (fault.file.as_str(), fault.line)).collect();
    assert_eq!(files, [("a.rego", 1), ("b.rego", 2), ("data.json", 2)]);
}

#[test]
fn data_that_are_no_object_are_refused() {
    assert!(fault(&[("data.json", "[1]")]).what.contains("no object"));
}
