//! How each artifact was made: a statement for each attempt that succeeded and made something.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use maestro_engine::shard::commit::{AttemptOutcome, AttemptRow};
use maestro_evidence::key::Signer;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::begun::{Link, begun};
use maestro_evidence::statement::provenance::{
    BUILD_TYPE, BYPRODUCTS, BuildDefinition, Builder, External, Internal, MADE_PREFIX, Metadata,
    Provenance, RunDetails,
};
use maestro_evidence::statement::run::{STATEMENTS_MAX, file};
use maestro_evidence::statement::{Descriptor, Digests, Statement};
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{Node, Workspace};
use maestro_schemas::sandbox::{Applied, Level, SANDBOX_ROLE};
use maestro_schemas::step::StepAddress;
use serde_json::Value;

use super::files::{Files, clean};
use super::{Subjects, Unsigned, subject};
use crate::app::list_steps::step_name;
use crate::store::attempt;
use crate::store::evidence;

/// How many attempts are read at once.
const PAGE: u16 = 500;

/// The largest word of a worker on its sandbox, in bytes.
const SANDBOX_BYTES_MAX: u64 = 64 << 10;

/// Nobody kept the step apart from its host.
const UNISOLATED: &str = "unisolated";

/// What counts of a run's artifacts.
pub(super) struct Made {
    /// What each step made, in the plan's order.
    by_step: Vec<(StepAddress, Vec<Artifact>)>,
    /// Which step's artifacts statements of this run are about.
    stated: HashSet<(StepAddress, Digest)>,
    /// What those statements are about, and what that was made from.
    links: Vec<Link>,
}

impl Made {
    /// What steps have without a statement of this run about how they made it, but for what comes besides.
    /// That another step made the same, or copied it, does not say where a step's own came from.
    pub(super) fn unstated(&self) -> impl Iterator<Item = &Artifact> {
        self.by_step.iter().flat_map(|(step, artifacts)| {
            artifacts.iter().filter(|artifact| {
                is_made(artifact) && !self.stated.contains(&(*step, artifact.digest))
            })
        })
    }

    /// What of all that statements of this run are about can have been made by them, and by what is `known`
    /// from others.
    pub(super) fn begun(&self, known: &BTreeSet<Digest>) -> BTreeSet<Digest> {
        begun(&self.links, known)
    }

    fn by_role(&self, node: u32, role: &str) -> Option<&Artifact> {
        let mut of_node = self.by_step.iter().filter(|(step, _)| step.node == node);
        of_node.find_map(|(_, made)| made.iter().find(|artifact| artifact.role == role))
    }
}

pub(super) async fn gather(
    files: &mut Files<'_>,
    subjects: &Subjects,
    signer: &dyn Signer,
) -> Result<Made, Unsigned> {
    let by_step = attempt::artifacts(&files.notary.pool, files.due.run).await?;
    let mut made = Made { by_step, stated: HashSet::new(), links: Vec::new() };
    for (step, artifacts) in &made.by_step {
        let name = step_name(&subjects.plan, *step).unwrap_or_else(|| step.to_string());
        for artifact in artifacts {
            files.artifact(&name, artifact).await;
        }
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let page = attempt::page(&files.notary.pool, files.due.run, after, PAGE).await?;
        for row in page.iter().filter(|row| makes(row)) {
            count += 1;
            if count > STATEMENTS_MAX {
                files.leave_out(format!("statements beyond the first {STATEMENTS_MAX}"));
                return Ok(made);
            }
            state(files, subjects, &mut made, (row, signer)).await?;
        }
        let Some(last) = page.last().filter(|_| page.len() == usize::from(PAGE)) else {
            return Ok(made);
        };
        after = Some(attempt::Place {
            decided_at_ms: last.decided_at_ms,
            step: last.step,
            number: last.token.number,
        });
    }
}

fn makes(row: &AttemptRow) -> bool {
    row.outcome == AttemptOutcome::Succeeded && row.artifacts.iter().any(is_made)
}

async fn state(
    files: &mut Files<'_>,
    subjects: &Subjects,
    made: &mut Made,
    (row, signer): (&AttemptRow, &dyn Signer),
) -> Result<(), Unsigned> {
    let Some(node) = subjects.plan.nodes.get(row.step.node as usize) else {
        return Err(Unsigned::Gone("plan's step"));
    };
    let name = step_name(&subjects.plan, row.step).unwrap_or_else(|| row.step.to_string());
    let about: Vec<&Artifact> = row.artifacts.iter().filter(|made| is_made(made)).collect();
    let subject = about.iter().map(|artifact| subject(artifact.role.clone(), artifact.digest));
    let sandbox = sandbox(files, row).await;
    let attempt = Attempt { subjects, row, node, name: &name, sandbox };
    let provenance = attempt.provenance(files, made);
    let statement = Statement::of(subject.collect(), provenance);
    let bundle = statement.sign(signer).await?;
    let number = row.token.number;
    let visit = if row.step.visit == 0 { String::new() } else { format!(".v{}", row.step.visit) };
    let path = format!("{}/{}{visit}.{number}.sigstore.json", file::STATEMENTS, clean(&name));
    let digest = files.keep(path, &bundle).await?;
    for artifact in &about {
        evidence::note(&files.notary.pool, files.due, artifact.digest, digest).await?;
        made.stated.insert((row.step, artifact.digest));
    }
    made.links.push(Link::of(&statement));
    Ok(())
}

struct Attempt<'a> {
    subjects: &'a Subjects,
    row: &'a AttemptRow,
    node: &'a Node,
    name: &'a str,
    /// What its worker says that it was kept in.
    sandbox: Option<Applied>,
}

impl Attempt<'_> {
    fn provenance(&self, files: &Files<'_>, made: &Made) -> Provenance {
        let (row, run) = (self.row, files.due.run.to_string());
        let version = self.node.action.version.as_deref().unwrap_or("0");
        let StepAddress { node, item, visit } = row.step;
        let execution = row.execution.map(|id| id.to_string()).unwrap_or_default();
        let invocation_id = format!("{run}/{}/{}/{execution}", self.name, row.token.number);
        Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.into(),
                external_parameters: External {
                    pipeline: self.subjects.run.pipeline.clone(),
                    step: self.name.to_owned(),
                    plan: self.subjects.run.plan,
                    inputs: self.subjects.plan.inputs.clone(),
                },
                internal_parameters: Internal {
                    project: files.due.project.to_string(),
                    run: run.clone(),
                    action: format!("{}@{version}", self.node.action.name),
                    step: [node, item, visit],
                    attempt: row.token.number,
                    signed_on: Moment::now(),
                    key: self.node.key.as_ref().map(|key| key.digest),
                    sandbox: self.sandbox.as_ref().and_then(|it| serde_json::to_value(it).ok()),
                },
                resolved_dependencies: self.dependencies(&run, made),
            },
            run_details: RunDetails {
                builder: Builder::isolating(isolation(self.sandbox.as_ref())),
                metadata: Metadata {
                    invocation_id,
                    started_on: Moment::from_ms(row.decided_at_ms),
                    finished_on: Moment::from_ms(row.ended_at_ms),
                },
                byproducts: row
                    .artifacts
                    .iter()
                    .filter(|artifact| !is_made(artifact))
                    .map(descriptor)
                    .collect(),
            },
        }
    }

    fn dependencies(&self, run: &str, made: &Made) -> Vec<Descriptor> {
        let workspace = self.workspace();
        let inputs = self.node.inputs.iter().filter_map(|input| {
            let artifact = made.by_role(input.node, &input.role)?;
            let step = &self.subjects.plan.nodes.get(input.node as usize)?.id;
            let uri = format!("{MADE_PREFIX}{run}/{step}#{}", input.role);
            Some(Descriptor { uri, ..descriptor(artifact) })
        });
        workspace.into_iter().chain(inputs).collect()
    }

    fn workspace(&self) -> Vec<Descriptor> {
        match &self.node.workspace {
            Workspace::Empty => Vec::new(),
            Workspace::Git { url, commit } => vec![Descriptor {
                name: "source".into(),
                uri: format!("git+{url}"),
                digest: Digests::git_commit(commit),
                ..Descriptor::default()
            }],
            Workspace::Tree { digest } => {
                let tree = Descriptor {
                    name: "workspace".into(),
                    digest: Digests::sha256(*digest),
                    media_type: maestro_schemas::artifact::TREE_MEDIA_TYPE.into(),
                    ..Descriptor::default()
                };
                std::iter::once(tree).chain(self.source()).collect()
            }
        }
    }

    /// What git said of the directory that the workspace is a snapshot of.
    fn source(&self) -> Option<Descriptor> {
        let git = self.subjects.plan.facts.get("git")?.as_object()?;
        let commit = git.get("sha")?.as_str()?;
        let said = ["branch", "tag", "dirty"].into_iter().filter_map(|name| {
            Some((name.to_owned(), git.get(name).filter(|value| !value.is_null())?.clone()))
        });
        let annotations: BTreeMap<String, Value> = said.collect();
        let digest = Digests::git_commit(commit);
        Some(Descriptor { name: "source".into(), digest, annotations, ..Descriptor::default() })
    }
}

/// What the attempt's worker says that it was kept in; nothing where it says nothing that can be read.
async fn sandbox(files: &Files<'_>, row: &AttemptRow) -> Option<Applied> {
    let said = row.artifacts.iter().find(|artifact| artifact.role == SANDBOX_ROLE)?;
    let bytes = files.notary.store.get(said.digest, SANDBOX_BYTES_MAX).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A process group keeps nothing apart.
fn isolation(sandbox: Option<&Applied>) -> &'static str {
    match sandbox.map(|applied| applied.level) {
        None | Some(Level::Plain) => UNISOLATED,
        Some(level) => level.as_str(),
    }
}

/// Whether a step made it, and a statement is about it: not what comes besides, as its log.
pub(crate) fn is_made(artifact: &Artifact) -> bool {
    !BYPRODUCTS.contains(&artifact.role.as_str())
}

fn descriptor(artifact: &Artifact) -> Descriptor {
    Descriptor {
        name: artifact.role.clone(),
        digest: Digests::sha256(artifact.digest),
        media_type: artifact.media_type.clone(),
        ..Descriptor::default()
    }
}
