//! JSON Schemas of what people and programs write and read as JSON.

use maestro_schemas::action::ActionInfo;
use maestro_schemas::api::problem::Problem;
use maestro_schemas::artifact::Tree;
use maestro_schemas::event::Event;
use maestro_schemas::pipeline::Pipeline;
use maestro_schemas::plan::Plan;
use maestro_schemas::route::{Refusal, RouteDecision, RouteRequest};
use maestro_schemas::submit::SubmitRequest;
use schemars::{JsonSchema, schema_for};

use super::{Generated, pretty};
use crate::error::Error;

/// Every schema that is checked in.
pub fn all() -> Result<Vec<Generated>, Error> {
    Ok(vec![
        of::<ActionInfo>("action")?,
        of::<Event>("event")?,
        of::<Pipeline>("pipeline")?,
        of::<Plan>("plan")?,
        of::<Problem>("problem")?,
        of::<RouteDecision>("route-decision")?,
        of::<Refusal>("route-refusal")?,
        of::<RouteRequest>("route-request")?,
        of::<SubmitRequest>("submit-request")?,
        of::<Tree>("tree")?,
    ])
}

fn of<T: JsonSchema>(name: &str) -> Result<Generated, Error> {
    let text = pretty(schema_for!(T).as_value())?;
    Ok(Generated { path: format!("schemas/json/{name}.json"), text })
}
