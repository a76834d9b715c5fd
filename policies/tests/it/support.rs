//! Bundles of a few texts.

use std::sync::Arc;

use maestro_policies::bundle::Bundle;
use maestro_policies::engine::{Compiled, Evaluator};
use maestro_policies::fault::Fault;
use maestro_policies::input::{Candidate, Request, RouteChoice};

pub fn bundle(files: &[(&str, &str)]) -> Bundle {
    Bundle::of(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

pub fn evaluator(files: &[(&str, &str)]) -> Evaluator {
    Arc::new(Compiled::of(&bundle(files)).unwrap()).evaluator()
}

pub fn faults(files: &[(&str, &str)]) -> Vec<Fault> {
    Compiled::of(&bundle(files)).unwrap_err()
}

pub fn fault(files: &[(&str, &str)]) -> Fault {
    let mut faults = faults(files);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

pub fn asked(tags: &[&str], model: &str) -> RouteChoice {
    let request = Request {
        step_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Request::default()
    };
    RouteChoice::new(request, Candidate { model: model.to_owned(), ..Candidate::default() })
}
