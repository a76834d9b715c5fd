//! The acts of the story, one file each.

pub mod again;
pub mod build;
pub mod curtain;
pub mod evidence;
pub mod failure;
pub mod plan;
pub mod review;

use std::collections::BTreeMap;

use maestro_engine::plan::Compiled;
use maestro_schemas::api::plans::PlanStored;
use maestro_schemas::id::RunId;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::place::{CHANGED_FILE, Place};
use crate::compile::Project;
use crate::error::Error;
use crate::output::{Color, Output};
use crate::submit::{self, Wish};

/// The project as it stands, made a plan, with what a run of it would do.
async fn prepare(place: &Place, fleet: &Fleet) -> Result<(Compiled, PlanStored), Error> {
    let pipeline = place.pipeline();
    let reading = tokio::task::spawn_blocking(move || Project::read(&pipeline));
    let stopped =
        |error| Error::System { action: "read the project", source: std::io::Error::other(error) };
    let project = reading.await.map_err(stopped)??;
    let compiled = project.compile(&inputs(fleet), &fleet.catalogue().await?)?;
    // What is sent is no part of the story.
    let silent = Output::new(true, Color::Never);
    let stored = submit::store(&fleet.client, &project.snapshot, &compiled, silent).await?;
    Ok((compiled, stored))
}

/// Whether a model reviews, which, and what.
fn inputs(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut inputs = BTreeMap::from([
        ("review".to_owned(), json!(fleet.reviewer().is_some())),
        ("file".to_owned(), json!(CHANGED_FILE)),
    ]);
    inputs.extend(fleet.reviewer().map(|it| ("model".to_owned(), json!(it.model))));
    inputs
}

/// Begins a run of what was prepared.
async fn begin(fleet: &Fleet, stored: &PlanStored) -> Result<RunId, Error> {
    Ok(submit::begin(&fleet.client, stored.digest, Wish::default()).await?.run)
}
