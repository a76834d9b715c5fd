//! The bundle that comes with Maestro passes its own tests, and they come to all of it.

use std::path::Path;
use std::sync::Arc;

use maestro_policies::bundle::Bundle;
use maestro_policies::engine::Compiled;
use maestro_policies::input::{Candidate, Request, RouteChoice};
use maestro_policies::trial;
use maestro_schemas::verdict::Hook;

fn shipped() -> Bundle {
    Bundle::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rego")).unwrap()
}

#[test]
fn its_tests_pass_and_come_to_every_line() {
    let report = trial::run(&shipped()).unwrap();
    assert!(report.tests.len() >= 15, "{}", report.tests.len());
    let failed: Vec<_> = report.tests.iter().filter(|test| test.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for file in &report.coverage {
        assert!(file.missed.is_empty() && file.covered > 0, "{file:?}");
    }
}

#[test]
fn the_binary_holds_it_as_it_lies_there() {
    assert_eq!(Bundle::shipped(), shipped());
}

#[test]
fn it_has_a_policy_for_every_hook() {
    let compiled = Compiled::of(&shipped()).unwrap();
    assert!(Hook::ALL.into_iter().all(|hook| compiled.has(hook)));
}

#[test]
fn what_the_content_was_found_to_be_counts_like_what_the_author_said() {
    let mut evaluator = Arc::new(Compiled::of(&shipped()).unwrap()).evaluator();
    let request = Request { tags: ["secret".to_owned()].into(), ..Request::default() };
    let candidate = Candidate { model: "far".to_owned(), zdr: true, ..Candidate::default() };
    let verdict = evaluator.verdict(&RouteChoice::new(request.clone(), candidate.clone()));
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(reason.rule, "data.maestro.routing.deny");
    assert!(reason.message.ends_with("choose a local model"), "{reason:?}");
    let local = Candidate { local: true, ..candidate };
    assert!(evaluator.verdict(&RouteChoice::new(request, local)).allowed);
}
