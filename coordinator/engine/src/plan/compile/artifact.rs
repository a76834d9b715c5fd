//! What a step finds in its workspace and what is kept of it.

use std::collections::BTreeSet;

use maestro_schemas::pipeline::{Artifact, Checkout, Use};
use maestro_schemas::plan::{InputArtifact, OutputArtifact, Workspace};

use super::action::{self, PROMPT_KEY};
use super::gather::{Frame, Target};
use super::node::{Builder, Faults, SiteOf};
use super::reference;
use super::resolve::Spot;
use super::workspace::Selection;
use crate::pipeline::diagnostic::list;
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, Fault, Position};
use crate::plan::check;

impl Builder<'_> {
    /// What is kept of the workspace.
    pub(super) fn artifacts(&self, site: &SiteOf<'_>, faults: &mut Faults) -> Vec<OutputArtifact> {
        let step = &site.draft.site.step;
        step.artifacts
            .iter()
            .map(|(role, artifact)| {
                let (path, optional) = match artifact {
                    Artifact::Path(path) => (path, false),
                    Artifact::Settings(settings) => (&settings.path, settings.optional),
                };
                let at = site.frame.source.at(&site.draft.site.path.join("artifacts").join(role));
                let path = faults
                    .take(self.known_text(Spot { at, ..site.spot("artifacts", false) }, path));
                let path = faults.take(inner_path(&path, at));
                OutputArtifact { role: role.clone(), path, optional }
            })
            .collect()
    }

    /// The artifacts that are put into the workspace; each node is named by its draft.
    pub(super) fn inputs(
        &self,
        site: &SiteOf<'_>,
        reads: &mut BTreeSet<usize>,
        faults: &mut Faults,
    ) -> Vec<InputArtifact> {
        let mut inputs = Vec::new();
        for (index, wanted) in site.draft.site.step.uses_artifacts.iter().enumerate() {
            let at = site.frame.source.at(&site.draft.site.path.join("use").join(index));
            let found = reference::step(site.frame, &site.draft.site.stage, &wanted.from, at)
                .and_then(|target| self.producer(target, wanted, at));
            if let Some((draft, path)) = faults.take(found.map(Some)) {
                let path = faults.take(inner_path(wanted.path.as_deref().unwrap_or(&path), at));
                reads.insert(draft);
                let node = u32::try_from(draft).unwrap_or(u32::MAX);
                inputs.push(InputArtifact { node, role: wanted.artifact.clone(), path });
            }
        }
        inputs
    }

    fn producer(
        &self,
        target: Target,
        wanted: &Use,
        at: Position,
    ) -> Result<(usize, String), Fault> {
        let draft = match target {
            Target::Step(draft) => draft,
            Target::Frame(_) => {
                return Err(Fault::new(
                    Code::UnknownReference,
                    at,
                    format!("{:?} is a pipeline", wanted.from),
                )
                .found(&wanted.from)
                .expected("one of its steps, as stage/name/stage/name"));
            }
        };
        let step = self.graph.drafts.get(draft).map(|draft| &draft.site.step);
        if step.is_some_and(|step| {
            step.for_each.is_some() || step.matrix.is_some() || step.split.is_some()
        }) {
            return Err(Fault::new(
                Code::UnknownReference,
                at,
                format!("{:?} makes an artifact for each of its items", wanted.from),
            )
            .found(&wanted.from)
            .expected("a step without for_each and matrix"));
        }
        match step.and_then(|step| step.artifacts.get(&wanted.artifact)) {
            Some(Artifact::Path(path)) => Ok((draft, path.clone())),
            Some(Artifact::Settings(settings)) => Ok((draft, settings.path.clone())),
            None => {
                let known =
                    || step.into_iter().flat_map(|step| step.artifacts.keys().map(String::as_str));
                let fault = Fault::new(
                    Code::UnknownReference,
                    at,
                    format!("{:?} makes no such artifact", wanted.from),
                );
                Err(fault
                    .found(&wanted.artifact)
                    .expected(list(known(), "or"))
                    .suggest(&wanted.artifact, known()))
            }
        }
    }

    /// The files that the workspace begins with.
    pub(super) fn workspace(&mut self, site: &SiteOf<'_>, pool: &str) -> Result<Workspace, Fault> {
        let step = &site.draft.site.step;
        let globs = step.inputs.as_ref();
        let asks = pool == action::LLM_POOL && step.with.contains_key(PROMPT_KEY);
        if pool != action::BUILD_POOL && !asks && globs.is_none() {
            return Ok(Workspace::Empty);
        }
        // A prompt lies beside the pipeline, whatever is checked out for builds.
        let checkout = self
            .outward(site)
            .find_map(|frame| Some((frame, frame.source.pipeline.checkout.clone()?)))
            .filter(|_| !asks);
        if let Some((frame, checkout)) = checkout {
            return match globs {
                None => self.checkout(frame, &checkout, &site.draft.id),
                Some(_) => Err(Fault::new(
                    Code::Choice,
                    site.at("inputs"),
                    "inputs cannot stand beside a checkout",
                )
                .hint("a checkout is always whole; take out inputs")),
            };
        }
        let Some(tree) = self.request.sources.tree else { return Ok(Workspace::Empty) };
        let Some(globs) = globs else { return Ok(self.trees.whole(tree)) };
        let selection =
            Selection::new(globs.as_slice().iter().map(String::as_str)).map_err(|error| {
                Fault::new(Code::InvalidValue, site.at("inputs"), "these are no globs")
                    .found(globs.as_slice().join(", "))
                    .expected(error)
            })?;
        let workspace = self.trees.part(tree, &selection);
        if !tree.entries.iter().any(|entry| selection.contains(&entry.path)) {
            self.out.warnings.push(format!("{}: no file matches its inputs", site.draft.id));
        }
        Ok(workspace)
    }

    fn checkout(&self, frame: &Frame, checkout: &Checkout, step: &str) -> Result<Workspace, Fault> {
        let path = Path::default().join("checkout");
        let number = self
            .graph
            .frames
            .iter()
            .position(|other| std::ptr::eq(other, frame))
            .unwrap_or_default();
        let spot = |key: &str| Spot {
            frame: number,
            stage: "",
            at: frame.source.at(&path.join(key)),
            step,
            items: false,
        };
        let url = self.known_text(spot("url"), &checkout.url)?;
        let commit = self.known_text(spot("commit"), &checkout.commit)?;
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit && !commit.contains("{{") {
            return Err(Fault::new(Code::InvalidValue, spot("commit").at, "this is no commit")
                .found(commit)
                .expected("40 hexadecimal digits")
                .hint("a branch would not be the same tomorrow; '{{ git.sha }}' is the commit that is checked out"));
        }
        Ok(Workspace::Git { url, commit })
    }
}

fn inner_path(path: &str, at: Position) -> Result<String, Fault> {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if check::is_inner_path(path) {
        return Ok(path.to_owned());
    }
    Err(Fault::new(Code::InvalidValue, at, "this path leaves the workspace")
        .found(path)
        .expected("a path relative to the workspace, without .."))
}
