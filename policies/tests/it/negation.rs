//! `not` over all elements means none of them, wherever it stands.

use std::collections::BTreeSet;

use crate::support::{asked, evaluator};

/// Whether `deny` has nothing in it, for tags.
fn passes(body: &str, tags: &[&str]) -> bool {
    let text =
        format!("package maestro.routing\n\nok contains \"a\"\n\nis(x, y) if x == y\n\n{body}\n");
    evaluator(&[("a.rego", &text)]).verdict(&asked(tags, "m")).allowed
}

#[test]
fn it_is_none_of_them_in_bodies_functions_comprehensions_and_every() {
    let ways = [
        r#"allow if not input.step_tags[_] == "pii""#,
        r#"allow if not "pii" == input.step_tags[_]"#,
        r#"allow if { not (input.step_tags[_] == "pii"); true }"#,
        r#"allow if not is(input.step_tags[_], "pii")"#,
        r#"allow if not is("pii", input["step_tags"][_])"#,
        "allow if not input.step_tags[_] == `pii`",
        r#"allow if not input.step_tags[i] == "pii""#,
        r#"none(x) if not input.step_tags[_] == x
allow if none("pii")"#,
        r#"allow if count([1 | not input.step_tags[_] == "pii"]) == 1"#,
        r#"allow if every x in ["pii"] { not input.step_tags[_] == x }"#,
        r#"allow := false if { input.step_tags[_] == "pii" } else := true if { not input.step_tags[_] == "pii" }"#,
    ];
    for way in ways {
        for (tags, none) in [
            (&[][..], true),
            (&["a"], true),
            (&["a", "z"], true),
            (&["pii"], false),
            (&["a", "pii"], false),
            (&["pii", "z"], false),
        ] {
            assert_eq!(passes(way, tags), none, "{way} with {tags:?}");
        }
    }
}

#[test]
fn a_variable_that_is_bound_elsewhere_stays_bound() {
    let body = r#"deny contains t if { some t in input.step_tags; not ok[t] }"#;
    assert!(passes(body, &["a"]) && !passes(body, &["a", "b"]) && passes(body, &[]));
    let body = r#"deny contains t if { t := input.step_tags[i]; not input.step_tags[i] == "a" }"#;
    assert!(passes(body, &["a"]) && !passes(body, &["a", "b"]) && !passes(body, &["b"]));
}

#[test]
fn a_replaced_input_is_what_is_looked_at() {
    let body = r#"allow if not input.step_tags[_] == "pii" with input as {"step_tags": ["b"]}"#;
    assert!(passes(body, &["pii"]));
    let body = r#"allow if not input.step_tags[_] == "b" with input as {"step_tags": ["a", "b"]}"#;
    assert!(!passes(body, &[]));
}

proptest::proptest! {
    #[test]
    fn it_is_the_same_as_counting(tags: BTreeSet<String>, one in "[a-c]", few in proptest::collection::btree_set("[a-c]", 0..4)) {
        let tags: Vec<&str> = tags.iter().chain(&few).map(String::as_str).collect();
        let body = format!("allow if not input.step_tags[_] == {one:?}");
        proptest::prop_assert_eq!(passes(&body, &tags), !tags.contains(&one.as_str()));
    }
}
