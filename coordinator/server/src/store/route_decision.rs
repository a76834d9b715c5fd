//! What the router decided, with all that it decided from. Written by its recorder only.

use std::collections::BTreeMap;

use maestro_schemas::api::route::DecisionRecord;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Error, json};
use crate::routing::recorder::Decided;

/// Keeps decisions; one that is there stays.
pub async fn store(pool: &PgPool, decided: &[Decided]) -> Result<(), Error> {
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
