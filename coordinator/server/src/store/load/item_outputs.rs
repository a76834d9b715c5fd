//! What the items of a fan-out made, in order, those that a rerun took over included.

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::Outputs;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::number::unsigned;
use crate::store::{Error, json, plan};

/// How many reruns of reruns are followed.
pub const LINE_LENGTH_MAX: usize = 200;

const MADE: &str = "
  select item, state in ('succeeded', 'cached') as counts, outputs::text, artifacts::text
    from attempt where run = $1 and node = $2 and state <> 'waiting'
  union all
  select item, state in ('succeeded', 'cached') as counts, outputs::text, artifacts::text
    from step where run = $1 and node = $2";

const FANOUT: &str = "
  select r.project, r.plan, r.rerun_of, f.count, f.reused
    from run r left join fanout f on f.run = r.id and f.node = $2
   where r.id = $1";

/// An item that a run took over from a run before it, with its artifacts.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The item's index.
    pub item: u32,
    /// The run whose rows tell of it.
    pub of: RunId,
    /// What it made.
    pub artifacts: Vec<Artifact>,
}

/// An item of the fan-out that was asked for.
#[derive(Clone, Default)]
struct Item {
    /// Whether its rows have been found.
    is_found: bool,
    /// The run that they are of.
    of: Option<Uuid>,
    made: (Outputs, Vec<Artifact>),
}

/// Outputs and artifacts of a fan-out's items, one for each, in order; empty where the item did
/// not succeed. `node` is the node's index in the run's plan.
///
/// An item that was taken over has its rows in the run before it in the line of reruns, where the
/// node is found by its id.
pub async fn item_outputs(
    conn: &mut PgConnection,
    run: RunId,
    node: u32,
) -> Result<Vec<(Outputs, Vec<Artifact>)>, Error> {
    Ok(items(conn, run, node).await?.into_iter().map(|item| item.made).collect())
}

/// The items that a fan-out took over, and from which runs.
pub async fn items_taken(
    conn: &mut PgConnection,
    run: RunId,
    node: u32,
) -> Result<Vec<Taken>, Error> {
    let items = (0u32..).zip(items(conn, run, node).await?);
    let taken = items.filter_map(|(index, item)| {
        let of = item.of.filter(|of| *of != run.uuid())?;
        Some(Taken { item: index, of: RunId::from_uuid(of), artifacts: item.made.1 })
    });
    Ok(taken.collect())
}

async fn items(conn: &mut PgConnection, run: RunId, node: u32) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let mut place = Some((run.uuid(), node));
    for depth in 0..LINE_LENGTH_MAX {
        let Some((run, node)) = place.take() else { break };
        let Some(origin) = origin(conn, run, node).await? else { break };
        if depth == 0 {
            items.resize(unsigned("fanout.count", origin.count.unwrap_or(0))?, Item::default());
        }
        fill(conn, run, node, &mut items).await?;
        if settle(&mut items, origin.reused.as_deref().unwrap_or_default()) {
            break;
        }
        place = former(conn, &origin, node).await?;
    }
    Ok(items)
}

/// What was neither found nor taken over made nothing. Whether all items are found now.
fn settle(items: &mut [Item], reused: &[u8]) -> bool {
    for (index, item) in items.iter_mut().enumerate() {
        let taken_over = reused.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        item.is_found |= !taken_over;
    }
    items.iter().all(|item| item.is_found)
}

#[derive(sqlx::FromRow)]
struct Origin {
    project: String,
    plan: Vec<u8>,
    rerun_of: Option<Uuid>,
    count: Option<i32>,
    reused: Option<Vec<u8>>,
}

async fn origin(conn: &mut PgConnection, run: Uuid, node: u32) -> Result<Option<Origin>, Error> {
    sqlx::query_as(FANOUT)
        .bind(run)
        .bind(i32::try_from(node).unwrap_or(i32::MAX))
        .fetch_optional(conn)
        .await
        .map_err(Error::doing("read a fan-out"))
}

async fn fill(
    conn: &mut PgConnection,
    run: Uuid,
    node: u32,
    items: &mut [Item],
) -> Result<(), Error> {
    let rows: Vec<(i32, bool, Option<String>, Option<String>)> = sqlx::query_as(MADE)
        .bind(run)
        .bind(i32::try_from(node).unwrap_or(i32::MAX))
        .fetch_all(conn)
        .await
        .map_err(Error::doing("read a fan-out's outputs"))?;
    for (index, counts, outputs, artifacts) in rows {
        let index: usize = unsigned("item", index)?;
        let Some(item) = items.get_mut(index).filter(|item| !item.is_found) else { continue };
        item.is_found = true;
        item.of = Some(run);
        if counts {
            let outputs = json::value_or_empty("attempt.outputs", outputs.as_deref())?;
            item.made = (outputs, json::value_or_empty("attempt.artifacts", artifacts.as_deref())?);
        }
    }
    Ok(())
}

/// Where the same fan-out stands in the run before this one.
async fn former(
    conn: &mut PgConnection,
    origin: &Origin,
    node: u32,
) -> Result<Option<(Uuid, u32)>, Error> {
    let Some(run) = origin.rerun_of else { return Ok(None) };
    let found: Option<Vec<u8>> = sqlx::query_scalar("select plan from run where id = $1")
        .bind(run)
        .fetch_optional(&mut *conn)
        .await
        .map_err(Error::doing("read a former run"))?;
    let Some(former) = found else { return Ok(None) };
    if former == origin.plan {
        return Ok(Some((run, node)));
    }
    let here = plan_of(conn, &origin.project, json::digest("run.plan", &origin.plan)?).await?;
    let there = plan_of(conn, &origin.project, json::digest("run.plan", &former)?).await?;
    let (Some(here), Some(there)) = (here, there) else { return Ok(None) };
    let id = here.plan().nodes.get(node as usize).map(|node| node.id.as_str());
    let index = there.plan().nodes.iter().position(|node| Some(node.id.as_str()) == id);
    Ok(index.and_then(|index| u32::try_from(index).ok()).map(|index| (run, index)))
}

async fn plan_of(
    conn: &mut PgConnection,
    project: &str,
    digest: Digest,
) -> Result<Option<CheckedPlan>, Error> {
    let project: ProjectName =
        project.parse().map_err(|_| Error::unreadable("run.project", project))?;
    plan::load(conn, &project, digest).await
}
