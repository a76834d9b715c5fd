//! Tells why a step of a run was executed although results are kept, or whose result it took.
//!
//! The key is made again from the run's rows, and compared with that of the latest result before it.

use maestro_engine::plan::CheckedPlan;
use maestro_engine::plan::answer::{explain, not_kept};
use maestro_engine::plan::differ::differences;
use maestro_engine::plan::key::{Parts, file_parts};
use maestro_engine::run::keyed::Keyed;
use maestro_evidence::tree;
use maestro_schemas::api::cached::{CacheAnswer, CacheReport};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::plan::{Node, StepKey};
use maestro_schemas::step::{StepAddress, StepState};

use super::list_steps::step_name;
use super::{App, Error};
use crate::store::{self, load, result, step};

/// The most parts that a report names.
const CHANGED_MAX: usize = 100;

/// The most fan-outs whose outputs a step's key is made from.
const SOURCES_MAX: usize = 100;

/// The part that is the digest of the workspace's directory.
const FILES: &str = "files";

impl App {
    /// Whether a step's result was known, and what differs from the latest one before where not.
    pub async fn why_cached(
        &self,
        project: &ProjectName,
        run: RunId,
        address: StepAddress,
    ) -> Result<CacheReport, Error> {
        let (_, plan) = self.head_and_plan(project, run).await?;
        let node = plan.nodes.get(address.node as usize);
        let node = node.ok_or_else(|| Error::not_found("step", address))?;
        let name = step_name(&plan, address).unwrap_or_default();
        let told = |answer, why| CacheReport {
            step: name.clone(),
            answer,
            why,
            key: None,
            nearest: None,
            changed: Vec::new(),
            more: 0,
        };
        match step::conclusion(&self.pool, run, address).await? {
            Some((state, why)) if state == StepState::Cached.as_str() => {
                let key = self.key_of(project, run, (&plan, node), address).await?;
                let digest = key.map(|key| key.digest);
                let nearest = match digest {
                    Some(digest) => result::maker(&self.pool, project, digest).await?,
                    None => None,
                };
                return Ok(CacheReport { key: digest, nearest, ..told(CacheAnswer::Hit, why) });
            }
            Some((_, why)) => return Ok(told(CacheAnswer::Open, why)),
            None => {}
        }
        let Some(begun_at_ms) = step::begun_at_ms(&self.pool, run, address).await? else {
            if let Some(of) = self.taken_of(run, node, address).await? {
                let key = self.key_of(project, run, (&plan, node), address).await?;
                let (key, nearest) = (key.map(|key| key.digest), Some(of));
                let why = format!("kept from {of}");
                return Ok(CacheReport { key, nearest, ..told(CacheAnswer::Hit, why) });
            }
            return Ok(told(CacheAnswer::Open, "it has not begun".into()));
        };
        if !node.cached {
            return Ok(told(CacheAnswer::NotKept, not_kept(node)));
        }
        let Some(key) = self.key_of(project, run, (&plan, node), address).await? else {
            return Ok(told(CacheAnswer::Miss, "its parameters did not resolve".into()));
        };
        let report = CacheReport {
            key: Some(key.digest),
            ..told(CacheAnswer::Miss, "it had no result yet".into())
        };
        self.compared(project, (run, begun_at_ms), (&plan, node), (key, report)).await
    }

    /// The report of a miss with what differs from the latest result before it, where there is one.
    async fn compared(
        &self,
        project: &ProjectName,
        begun: (RunId, u64),
        (plan, node): (&CheckedPlan, &Node),
        (key, report): (StepKey, CacheReport),
    ) -> Result<CacheReport, Error> {
        let of = (plan.name.as_str(), report.step.as_str());
        let before = result::parts_before(&self.pool, project, of, begun).await?;
        let Some((nearest, parts)) = before else { return Ok(report) };
        let (now, before) = self.with_files(key.parts, parts).await;
        let mut changed = differences(plan, node, &now, &before);
        let names: Vec<String> = changed.iter().map(|part| part.part.clone()).collect();
        let more = changed.len().saturating_sub(CHANGED_MAX);
        changed.truncate(CHANGED_MAX);
        Ok(CacheReport {
            why: explain(&names),
            nearest: Some(nearest),
            changed,
            more: u32::try_from(more).unwrap_or(u32::MAX),
            ..report
        })
    }

    /// The run before this one whose item a fan-out took over.
    async fn taken_of(
        &self,
        run: RunId,
        node: &Node,
        address: StepAddress,
    ) -> Result<Option<RunId>, Error> {
        if node.for_each.is_none() {
            return Ok(None);
        }
        let begin = self.pool.acquire().await;
        let mut conn = begin.map_err(store::Error::doing("look at a run"))?;
        let taken = load::items_taken(&mut conn, run, address.node).await?;
        Ok(taken.into_iter().find(|taken| taken.item == address.item).map(|taken| taken.of))
    }

    /// The key that a step was begun with.
    async fn key_of(
        &self,
        project: &ProjectName,
        run: RunId,
        (plan, node): (&CheckedPlan, &Node),
        address: StepAddress,
    ) -> Result<Option<StepKey>, Error> {
        if node.key.is_some() && node.for_each.is_none() {
            return Ok(node.key.clone());
        }
        let begin = self.pool.acquire().await;
        let mut conn = begin.map_err(store::Error::doing("look at a run"))?;
        let Some(loaded) = load::load_seen(&mut conn, project, run).await? else {
            return Ok(None);
        };
        let mut keyed = Keyed::read(loaded, address);
        for _ in 0..SOURCES_MAX.min(plan.nodes.len()) {
            let Some(source) = keyed.wanted() else { break };
            let made = load::item_outputs(&mut conn, run, source).await?;
            keyed.learn(source, made.into_iter().map(|(outputs, _)| outputs).collect());
        }
        Ok(keyed.key())
    }

    /// Names the files of both workspaces where they differ and their directories are there.
    async fn with_files(&self, now: Parts, before: Parts) -> (Parts, Parts) {
        let (Some(of_now), Some(of_before)) = (now.get(FILES), before.get(FILES)) else {
            return (now, before);
        };
        if of_now == of_before {
            return (now, before);
        }
        match (self.files(*of_now).await, self.files(*of_before).await) {
            (Some(some), Some(others)) => {
                (now.into_iter().chain(some).collect(), before.into_iter().chain(others).collect())
            }
            _ => (now, before),
        }
    }

    async fn files(&self, digest: Digest) -> Option<Parts> {
        let tree = tree::get(&self.objects, digest, tree::Limits::default()).await.ok()?;
        Some(file_parts(&tree).collect())
    }
}
