//! What rows name in object storage. Read by the collector, in pages of the tables' own order.
//!
//! | where | what it names |
//! |---|---|
//! | `attempt.artifacts` | what executions made, whatever their outcome, logs included |
//! | `step.artifacts` | what steps took over from results and from former runs |
//! | `result.artifacts` | what steps of later runs may take over |
//! | `plan.body`, the nodes' workspaces | directories that somebody uploaded |
//!
//! These rows are never deleted but for those of `result`, and those only once an artifact of theirs
//! is gone. `project_object` names its objects too, for a time: see [`super::project_object`].
//!
//! Nothing else names an object. Digests in `run`, `submission`, `result.key`, `result.parts`, in
//! keys of plans and in `token` are of plans, of requests, of what went into a key and of secrets.
//! The one in `attempt.failure`, and in events and notices with it, says of an object that is named
//! above that it is lost, and those in `model_call` are of prompts and requests. Outputs, items of fan-outs, parameters and audit rows hold values, which
//! nobody takes for objects. A task on the bus names what its run's plan and attempts name.
//!
//! A row that this build cannot read may have been written by another that can: then whatever looks
//! like a digest in it is named, as a directory, which is more than it can mean.

use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Workspace;
use serde::Deserialize;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::Error;

/// How many rows of attempts, steps or results are read at once; one has at most 64 KiB.
const ROWS_AT_ONCE: i64 = 500;

/// How many plans are read at once; one has at most 32 MiB.
const PLANS_AT_ONCE: i64 = 1;

/// The length of a digest's text.
const DIGEST_CHARS: usize = "sha256:".len() + 64;

/// What some rows name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Objects without a form of ours.
    pub objects: Vec<Digest>,
    /// Directories: all that is in them is named too.
    pub trees: Vec<Digest>,
}

/// A row of attempts or of steps, in the order of their keys.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct StepPlace {
    run: Uuid,
    node: i32,
    item: i32,
    visit: i32,
    number: i32,
}

/// A row of a project's, in the order of projects and digests.
#[derive(Debug, Clone, Default, FromRow)]
pub struct KeyPlace {
    project: String,
    digest: Vec<u8>,
}

impl Default for StepPlace {
    fn default() -> Self {
        Self { run: Uuid::nil(), node: -1, item: -1, visit: -1, number: -1 }
    }
}

#[derive(FromRow)]
struct Row<P> {
    #[sqlx(flatten)]
    place: P,
    body: String,
}

const ATTEMPTS: &str = "
  select run, node, item, visit, number, artifacts::text as body from attempt
   where artifacts is not null and (run, node, item, visit, number) > ($1, $2, $3, $4, $5)
   order by run, node, item, visit, number limit $6";

const STEPS: &str = "
  select run, node, item, visit, $5::int as number, artifacts::text as body from step
   where artifacts is not null and (run, node, item, visit) > ($1, $2, $3, $4)
   order by run, node, item, visit limit $6";

const RESULTS: &str = "
  select project, key as digest, artifacts::text as body from result
   where (project, key) > ($1, $2) order by project, key limit $3";

const PLANS: &str = "
  select project, digest, body::text as body from plan
   where (project, digest) > ($1, $2) order by project, digest limit $3";

/// What attempts after `after` name, and the last of them; nothing where there are no more.
pub async fn by_attempts(
    db: impl PgExecutor<'_>,
    after: StepPlace,
) -> Result<Option<(Names, StepPlace)>, Error> {
    by_steps_of(db, ATTEMPTS, after).await
}

/// As [`by_attempts`], for steps that ended without an attempt.
pub async fn by_steps(
    db: impl PgExecutor<'_>,
    after: StepPlace,
) -> Result<Option<(Names, StepPlace)>, Error> {
    by_steps_of(db, STEPS, after).await
}

/// As [`by_attempts`], for known results.
pub async fn by_results(
    db: impl PgExecutor<'_>,
    after: &KeyPlace,
) -> Result<Option<(Names, KeyPlace)>, Error> {
    by_keys_of(db, RESULTS, (after, ROWS_AT_ONCE), Names::artifacts).await
}

/// As [`by_attempts`], for plans, whether they were ever run or not.
pub async fn by_plans(
    db: impl PgExecutor<'_>,
    after: &KeyPlace,
) -> Result<Option<(Names, KeyPlace)>, Error> {
    by_keys_of(db, PLANS, (after, PLANS_AT_ONCE), Names::workspaces).await
}

async fn by_steps_of(
    db: impl PgExecutor<'_>,
    statement: &'static str,
    after: StepPlace,
) -> Result<Option<(Names, StepPlace)>, Error> {
    let rows: Vec<Row<StepPlace>> = sqlx::query_as(statement)
        .bind(after.run)
        .bind(after.node)
        .bind(after.item)
        .bind(after.visit)
        .bind(after.number)
        .bind(ROWS_AT_ONCE)
        .fetch_all(db)
        .await
        .map_err(Error::doing("read what attempts and steps name"))?;
    Ok(page(rows, Names::artifacts))
}

async fn by_keys_of(
    db: impl PgExecutor<'_>,
    statement: &'static str,
    (after, count): (&KeyPlace, i64),
    read: fn(&mut Names, &str),
) -> Result<Option<(Names, KeyPlace)>, Error> {
    let rows: Vec<Row<KeyPlace>> = sqlx::query_as(statement)
        .bind(after.project.as_str())
        .bind(after.digest.as_slice())
        .bind(count)
        .fetch_all(db)
        .await
        .map_err(Error::doing("read what results and plans name"))?;
    Ok(page(rows, read))
}

fn page<P>(rows: Vec<Row<P>>, read: fn(&mut Names, &str)) -> Option<(Names, P)> {
    let mut names = Names::default();
    rows.iter().for_each(|row| read(&mut names, &row.body));
    rows.into_iter().next_back().map(|last| (names, last.place))
}

impl Names {
    fn artifacts(&mut self, text: &str) {
        let Ok(artifacts) = serde_json::from_str::<Vec<Artifact>>(text) else {
            return self.trees.extend(digests_in(text));
        };
        for artifact in artifacts {
            match artifact.media_type == TREE_MEDIA_TYPE {
                true => self.trees.push(artifact.digest),
                false => self.objects.push(artifact.digest),
            }
        }
    }

    fn workspaces(&mut self, text: &str) {
        let Ok(plan) = serde_json::from_str::<PlanBody>(text) else {
            return self.trees.extend(digests_in(text));
        };
        let trees = plan.nodes.into_iter().filter_map(|node| match node.workspace {
            Workspace::Tree { digest } => Some(digest),
            Workspace::Empty | Workspace::Git { .. } => None,
        });
        self.trees.extend(trees);
    }
}

/// As much of a plan as names objects.
#[derive(Deserialize)]
struct PlanBody {
    nodes: Vec<NodeBody>,
}

#[derive(Deserialize)]
struct NodeBody {
    #[serde(default)]
    workspace: Workspace,
}

/// Whatever looks like a digest.
fn digests_in(text: &str) -> impl Iterator<Item = Digest> + '_ {
    text.match_indices("sha256:")
        .filter_map(|(at, _)| text.get(at..at + DIGEST_CHARS)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn directories_are_told_from_other_objects() {
        let (file, tree) = (Digest::of(b"file"), Digest::of(b"tree"));
        let artifacts = json!([
            { "role": "log", "digest": file, "size": 1, "media_type": "text/plain" },
            { "role": "out", "digest": tree, "size": 1, "media_type": TREE_MEDIA_TYPE },
        ]);
        let mut names = Names::default();
        names.artifacts(&artifacts.to_string());
        assert_eq!(names, Names { objects: vec![file], trees: vec![tree] });
    }

    #[test]
    fn a_plan_names_the_workspaces_of_its_nodes() {
        let tree = Digest::of(b"tree");
        let plan = json!({ "version": 1, "nodes": [
            { "workspace": { "kind": "tree", "digest": tree }, "key": { "digest": Digest::of(b"key") } },
            { "workspace": { "kind": "git", "url": "u", "commit": "c" } },
            {},
        ] });
        let mut names = Names::default();
        names.workspaces(&plan.to_string());
        assert_eq!(names, Names { objects: Vec::new(), trees: vec![tree] });
    }

    #[test]
    fn of_what_cannot_be_read_everything_that_looks_like_a_digest_is_named() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let mut names = Names::default();
        names.artifacts(&format!("{{\"new\": [\"{one}\", \"sha256:short\"]}}"));
        names.workspaces(&format!(
            "{{\"nodes\": [{{\"workspace\": {{\"kind\": \"new\", \"digest\": \"{two}\"}}}}]}}"
        ));
        assert_eq!(names, Names { objects: Vec::new(), trees: vec![one, two] });
    }
}
