//! Stores a plan and tells what a run of it would do now.

use std::collections::{BTreeMap, BTreeSet};

use maestro_engine::forecast::{Forecast, Results};
use maestro_engine::plan::answer::{Known, answers};
use maestro_engine::plan::sources::Sources;
use maestro_engine::plan::{CheckedPlan, Request, UNKNOWN_DURATIONS, compile};
use maestro_schemas::api::plans::PlanStored;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::plan::Plan;
use serde_json::Value;

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::store::{action, plan, result};

/// How a pipeline that came without a file is named in what is said about it.
const FILE: &str = "pipeline";

/// How many results are read at once.
const RESULTS_AT_ONCE: usize = 1_000;

impl App {
    /// Checks and stores a plan; the answer says for each step whether it would run.
    pub async fn store_plan(&self, asker: &Asker, plan: Plan) -> Result<PlanStored, Error> {
        let project = &asker.project;
        let plan = CheckedPlan::check(plan).map_err(|error| Error::Unsound(error.to_string()))?;
        let digest = self.keep_plan(asker, &plan).await?;
        let forecast = self.forecast(project, &plan).await?;
        let unseen = (0u32..).zip(&plan.nodes).filter(|(index, _)| forecast.seen(*index).is_none());
        let keys: Vec<Digest> = unseen
            .filter(|(_, node)| node.cached)
            .filter_map(|(_, node)| Some(node.key.as_ref()?.digest))
            .collect();
        let mut whole = BTreeSet::new();
        for some in keys.chunks(RESULTS_AT_ONCE) {
            whole.extend(self.whole_results(project, some).await?.into_keys());
        }
        let steps: Vec<String> = plan.nodes.iter().map(|node| node.id.clone()).collect();
        let nearest = result::latest_parts(&self.pool, project, &plan.name, &steps).await?;
        let known = Known {
            result: &|key| whole.contains(key),
            nearest: &|step| nearest.get(step).cloned(),
            seen: &|node| forecast.seen(node).cloned(),
        };
        Ok(PlanStored { digest, steps: answers(&plan, &known) })
    }

    /// A stored plan as text of JSON.
    pub async fn show_plan(&self, project: &ProjectName, digest: Digest) -> Result<String, Error> {
        let text = plan::text(&self.pool, project, digest).await?;
        text.ok_or_else(|| Error::not_found("plan", digest))
    }

    /// Compiles a pipeline's text, which names no file beside it, and stores the plan.
    pub(super) async fn store_pipeline(
        &self,
        asker: &Asker,
        text: &str,
        inputs: BTreeMap<String, Value>,
    ) -> Result<(Digest, BTreeMap<String, String>), Error> {
        let catalogue = action::catalogue(&self.pool).await?;
        let request = Request {
            file: FILE,
            text,
            inputs: &inputs,
            sources: Sources::NONE,
            catalogue: &catalogue,
            durations: &UNKNOWN_DURATIONS,
        };
        let compiled = compile(request).map_err(|faults| Error::Unsound(faults.to_string()))?;
        let checked =
            CheckedPlan::check(compiled.plan).map_err(|error| Error::Unsound(error.to_string()))?;
        let digest = self.keep_plan(asker, &checked).await?;
        Ok((digest, compiled.labels))
    }

    /// Stores a plan; one that is there already stays, and nothing was done.
    async fn keep_plan(&self, asker: &Asker, plan: &CheckedPlan) -> Result<Digest, Error> {
        let mut transaction = self.begin().await?;
        let is_there = plan::exists(&mut *transaction, &asker.project, plan.digest()).await?;
        let digest = plan::store(&mut *transaction, &asker.project, plan).await?;
        if !is_there {
            let done = Done::to("plan.store", plan.name.clone());
            let done = Done { request: Some(digest), ..done };
            act::keep(&mut transaction, asker, done).await?;
        }
        act::end(transaction).await?;
        Ok(digest)
    }

    /// Plays a run of the plan ahead, as far as results carry it.
    async fn forecast(&self, project: &ProjectName, plan: &CheckedPlan) -> Result<Forecast, Error> {
        let mut forecast = Forecast::begin(plan.clone(), project.clone(), RunId::generate());
        loop {
            let wanted = forecast.wanted();
            if wanted.is_empty() {
                return Ok(forecast);
            }
            forecast.learn(&self.whole_results(project, &wanted).await?);
        }
    }

    /// The results of keys that are known with every artifact there.
    async fn whole_results(
        &self,
        project: &ProjectName,
        keys: &[Digest],
    ) -> Result<Results, Error> {
        let mut whole = BTreeMap::new();
        for (key, result) in result::known(&self.pool, project, keys).await? {
            let digests: Vec<Digest> =
                result.artifacts.iter().map(|artifact| artifact.digest).collect();
            if self.objects.missing(&digests).await?.is_empty() {
                whole.insert(key, result);
            }
        }
        Ok(whole)
    }
}
