//! What the router decided, with all that it decided from. Written by its recorder only; old rows
//! go. Configurations stay: there is one for each edit of a file.

use std::collections::BTreeMap;
use std::time::Duration;

use maestro_schemas::api::route::{DecisionRecord, KeptDecision};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor, PgPool};
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, json};
use crate::routing::recorder::Decided;

/// Keeps the configurations of decisions.
pub async fn store_configs(pool: &PgPool, decided: &[Decided]) -> Result<(), Error> {
    let configs: BTreeMap<&[u8], &str> = decided
        .iter()
        .map(|one| (one.config_digest.as_bytes().as_slice(), one.config.as_ref()))
        .collect();
    sqlx::query(
        "insert into route_config (digest, body)
         select * from unnest($1::bytea[], $2::text[]) on conflict do nothing",
    )
    .bind(configs.keys().copied().collect::<Vec<_>>())
    .bind(configs.values().copied().collect::<Vec<_>>())
    .execute(pool)
    .await
    .map_err(Error::doing("keep the router's configuration"))?;
    Ok(())
}

/// Keeps decisions, whose configurations are kept; one that is there stays.
pub async fn store(pool: &PgPool, decided: &[Decided]) -> Result<(), Error> {
    let texts = |text: fn(&Decided) -> Result<String, serde_json::Error>| {
        decided.iter().map(text).collect::<Result<Vec<String>, _>>()
    };
    let unfit = |error: serde_json::Error| Error::unreadable("route_decision", error);
    sqlx::query(
        "insert into route_decision (id, project, at_ms, mode, deployment, config, facts, request,
                                     objectives, choice)
         select id, project, at_ms, mode, deployment, config, facts::json, request::json,
                objectives::json, choice::json
           from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[],
                       $7::text[], $8::text[], $9::text[], $10::text[])
             as x (id, project, at_ms, mode, deployment, config, facts, request, objectives, choice)
         on conflict do nothing",
    )
    .bind(decided.iter().map(|one| one.id.uuid()).collect::<Vec<Uuid>>())
    .bind(decided.iter().map(|one| one.project.as_str()).collect::<Vec<_>>())
    .bind(
        decided
            .iter()
            .map(|one| i64::try_from(one.facts.now_ms).unwrap_or(i64::MAX))
            .collect::<Vec<_>>(),
    )
    .bind(decided.iter().map(|one| one.choice.mode.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.choice.deployment.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(|one| one.config_digest.as_bytes().as_slice()).collect::<Vec<_>>())
    .bind(texts(|one| serde_json::to_string(&one.facts)).map_err(unfit)?)
    .bind(texts(|one| serde_json::to_string(&one.request)).map_err(unfit)?)
    .bind(texts(|one| serde_json::to_string(&one.objectives)).map_err(unfit)?)
    .bind(texts(|one| serde_json::to_string(&one.choice)).map_err(unfit)?)
    .execute(pool)
    .await
    .map_err(Error::doing("keep what the router decided"))?;
    Ok(())
}

#[derive(FromRow)]
struct Record {
    config: String,
    facts: String,
    request: String,
    objectives: String,
    choice: String,
}

/// A decision of a project.
pub async fn find(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    id: DecisionId,
) -> Result<Option<DecisionRecord>, Error> {
    let found: Option<Record> = sqlx::query_as(
        "select c.body as config, facts::text as facts, request::text as request,
                objectives::text as objectives, choice::text as choice
           from route_decision d join route_config c on c.digest = d.config
          where d.project = $1 and d.id = $2",
    )
    .bind(project.as_str())
    .bind(id.uuid())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look a decision up"))?;
    found.map(|record| record.read(id)).transpose()
}

/// What a decision chose, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The deployment.
    pub deployment: String,
    /// What the request says that the prompt is about.
    pub topic: Option<String>,
}

/// What these decisions of a project chose; those that are not there are left out.
pub async fn served(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    ids: &[DecisionId],
) -> Result<BTreeMap<DecisionId, Served>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(Uuid, String, Option<String>)> = sqlx::query_as(
        "select id, deployment, request ->> 'topic' from route_decision
          where project = $1 and id = any ($2)",
    )
    .bind(project.as_str())
    .bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(db)
    .await
    .map_err(Error::doing("look up what decisions chose"))?;
    let read = |(id, deployment, topic)| (DecisionId::from_uuid(id), Served { deployment, topic });
    Ok(rows.into_iter().map(read).collect())
}

/// Which decisions.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// From this time on, in milliseconds since 1970.
    pub since_ms: u64,
    /// The last of the page before.
    pub after: Option<Place>,
    /// The most decisions.
    pub count_max: u16,
}

/// A decision's place in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its id.
    pub id: DecisionId,
}

#[derive(FromRow)]
struct Kept {
    id: Uuid,
    at_ms: i64,
    config: Vec<u8>,
    facts: String,
    request: String,
    objectives: String,
    choice: String,
}

/// Decisions of a project, the youngest first, each with the digest of its configuration.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    filter: Filter,
) -> Result<Vec<(Digest, KeptDecision)>, Error> {
    let bound = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let (at_ms, id) = match filter.after {
        Some(place) => (bound(place.at_ms), place.id.uuid()),
        None => (i64::MAX, Uuid::max()),
    };
    let rows: Vec<Kept> = sqlx::query_as(
        "select id, at_ms, config, facts::text as facts, request::text as request,
                objectives::text as objectives, choice::text as choice
           from route_decision
          where project = $1 and at_ms >= $2 and (at_ms, id) < ($3, $4)
          order by at_ms desc, id desc limit $5",
    )
    .bind(project.as_str())
    .bind(bound(filter.since_ms))
    .bind(at_ms)
    .bind(id)
    .bind(i32::from(filter.count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list what the router decided"))?;
    rows.into_iter().map(Kept::read).collect()
}

/// The text of a configuration that decisions were made by.
pub async fn config(db: impl PgExecutor<'_>, digest: Digest) -> Result<Option<String>, Error> {
    sqlx::query_scalar("select body from route_config where digest = $1")
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read the router's configuration"))
}

/// Deletes decisions that are older than `age`, the oldest first, at most so many; answers how many.
pub async fn expire(db: impl PgExecutor<'_>, age: Duration, count_max: u16) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from route_decision where id in (
           select id from route_decision
            where at_ms < (extract(epoch from now()) * 1000)::bigint - $1
            order by at_ms limit $2 for update skip locked)",
    )
    .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    .bind(i32::from(count_max))
    .execute(db)
    .await
    .map_err(Error::doing("let old decisions go"))?;
    Ok(done.rows_affected())
}

impl Kept {
    fn read(self) -> Result<(Digest, KeptDecision), Error> {
        let kept = KeptDecision {
            decision_id: DecisionId::from_uuid(self.id),
            at_ms: unsigned("route_decision.at_ms", self.at_ms)?,
            facts: json::value("route_decision.facts", &self.facts)?,
            request: json::value("route_decision.request", &self.request)?,
            objectives: json::value("route_decision.objectives", &self.objectives)?,
            choice: self.choice,
        };
        Ok((json::digest("route_decision.config", &self.config)?, kept))
    }
}

impl Record {
    fn read(self, id: DecisionId) -> Result<DecisionRecord, Error> {
        Ok(DecisionRecord {
            decision_id: id,
            config: self.config,
            facts: json::value("route_decision.facts", &self.facts)?,
            request: json::value("route_decision.request", &self.request)?,
            objectives: json::value("route_decision.objectives", &self.objectives)?,
            choice: self.choice,
        })
    }
}
