//! A policy sees its input and its data, and nothing else; and whatever it does harms nobody else.

use std::time::{Duration, Instant};

use crate::support::{asked, evaluator, fault, faults};

#[test]
fn there_is_no_clock_no_network_no_chance_and_no_environment() {
    for (call, why) in [
        ("time.now_ns()", "no clock"),
        ("time.clock(1)", "no clock"),
        ("http.send({\"method\": \"GET\", \"url\": \"http://example.org\"})", "no network"),
        ("net.lookup_ip_addr(\"example.org\")", "no network"),
        ("rand.intn(\"x\", 10)", "no chance"),
        ("uuid.rfc4122(\"x\")", "no chance"),
        ("opa.runtime()", "nothing of the process"),
        ("numbers.range(1, 1000000000000)", "longer than memory"),
    ] {
        let text = format!("package maestro.routing\n\ndeny contains x if x := {call}\n");
        let found = fault(&[("a.rego", &text)]);
        assert_eq!((found.code, found.line, found.column), ("MAE-5003", 3, 25), "{found}");
        assert!(found.what.contains(why), "{found}");
    }
}

#[test]
fn what_check_forbids_the_interpreter_does_not_have_either() {
    let names: Vec<&str> = regorus::unstable::BUILTINS.keys().copied().collect();
    for outside in ["time.", "http.", "net.", "rand.", "uuid.", "opa.", "crypto.", "io."] {
        assert!(!names.iter().any(|name| name.starts_with(outside)), "{outside} in {names:?}");
    }
}

#[test]
fn a_function_may_not_call_itself_by_any_way() {
    let direct = "package maestro.routing\n\nf(x) := f(x)\n\ndeny contains \"a\" if f(1)\n";
    let found = fault(&[("a.rego", direct)]);
    assert_eq!((found.code, found.line), ("MAE-5004", 3), "{found}");
    let a = "package lib.a\n\nimport data.lib.b\n\nf(x) := b.g(x)\n";
    let b = "package lib.b\n\nimport data.lib.a.f as other\n\ng(x) := other(x)\n";
    let found = faults(&[("a.rego", a), ("b.rego", b)]);
    assert_eq!(found.len(), 2, "{found:?}");
    let rule = "package maestro.routing\n\nallow if allow\n";
    assert!(fault(&[("a.rego", rule)]).what.contains("recursion"));
}

#[test]
fn what_takes_too_long_denies_and_the_next_question_is_answered() {
    let text = "package maestro.routing\n\ndeny contains \"never\" if {\n\tinput.selected_model == \"slow\"\n\tsome a in data.many\n\tsome b in data.many\n\tsome c in data.many\n\ta + b + c == 0 - 1\n}\n";
    let many: Vec<u32> = (0..1000).collect();
    let data = serde_json::json!({ "many": many }).to_string();
    let mut evaluator = evaluator(&[("a.rego", text), ("data.json", &data)]);
    let begun = Instant::now();
    let verdict = evaluator.verdict(&asked(&[], "slow"));
    assert!(!verdict.allowed);
    assert!(verdict.reasons[0].message.contains("longer than 100 ms"), "{verdict:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(evaluator.verdict(&asked(&[], "quick")).allowed);
}

#[test]
fn what_lies_too_deep_is_refused_and_does_not_end_the_process() {
    let line = vec!["1"; 15].join(" + ");
    let sum = vec![line; 1000].join(" +\n");
    let text = format!("package maestro.routing\n\nallow if {{\n x := {sum}\n x == 1\n}}\n");
    let found = faults(&[("a.rego", &text)]);
    assert!(found[0].what.contains("deep in each other"), "{}", found[0]);
    let brackets = format!("package a\nx := {}1{}\n", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(fault(&[("a.rego", &brackets)]).code, "MAE-5001");
}
