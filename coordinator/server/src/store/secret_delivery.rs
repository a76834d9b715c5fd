//! Which execution may have which secret, and which version it was given.

use std::collections::BTreeMap;
use std::time::Duration;

use maestro_schemas::api::secrets::SecretDelivery;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::name::{PoolName, ProjectName, SecretName};
use maestro_schemas::secret::{SecretUse, SecretsQuestion};
use maestro_schemas::step::StepAddress;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::number::{int, unsigned};
use super::{Error, json, secret};

/// An attempt that lives, and what its step declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The tenant.
    pub project: ProjectName,
    /// The pool that the attempt was sent to.
    pub pool: PoolName,
    /// The secrets of the step.
    pub secrets: BTreeMap<String, SecretUse>,
}

/// The attempt that a question names, while it lives.
pub async fn live(
    db: impl PgExecutor<'_>,
    question: &SecretsQuestion,
) -> Result<Option<Live>, Error> {
    let number = |error| Error::unreadable("dispatch", error);
    let SecretsQuestion { run, step, token, .. } = question;
    let row: Option<(String, String, Option<String>)> = sqlx::query_as(
        "select d.project, d.pool, p.body -> 'nodes' -> d.node ->> 'secrets'
           from dispatch d
           join run r on r.id = d.run
           join plan p on p.project = r.project and p.digest = r.plan
          where d.run = $1 and d.node = $2 and d.item = $3 and d.visit = $4
            and d.number = $5 and d.epoch = $6",
    )
    .bind(run.uuid())
    .bind(int("dispatch.node", step.node).map_err(number)?)
    .bind(int("dispatch.item", step.item).map_err(number)?)
    .bind(int("dispatch.visit", step.visit).map_err(number)?)
    .bind(int("dispatch.number", token.number).map_err(number)?)
    .bind(i64::try_from(token.epoch).map_err(|error| Error::unreadable("dispatch.epoch", error))?)
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for a live attempt"))?;
    let Some((project, pool, secrets)) = row else { return Ok(None) };
    Ok(Some(Live {
        project: project.parse().map_err(|_| Error::unreadable("dispatch.project", &project))?,
        pool: pool.parse().map_err(|_| Error::unreadable("dispatch.pool", &pool))?,
        secrets: json::value_or_empty("plan.body", secrets.as_deref())?,
    }))
}

/// Notes that a version is given to the execution that asks; noted twice, it stands once.
pub async fn note(
    db: impl PgExecutor<'_>,
    question: &SecretsQuestion,
    project: &ProjectName,
    (name, version): (&SecretName, u32),
) -> Result<(), Error> {
    let number = |error| Error::unreadable("secret_delivery", error);
    let SecretsQuestion { run, step, token, execution, .. } = question;
    sqlx::query(
        "insert into secret_delivery (run, node, item, visit, attempt, execution, project, name, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
    )
    .bind(run.uuid())
    .bind(int("secret_delivery.node", step.node).map_err(number)?)
    .bind(int("secret_delivery.item", step.item).map_err(number)?)
    .bind(int("secret_delivery.visit", step.visit).map_err(number)?)
    .bind(int("secret_delivery.attempt", token.number).map_err(number)?)
    .bind(execution.uuid())
    .bind(project.as_str())
    .bind(name.as_str())
    .bind(int("secret_delivery.version", version).map_err(number)?)
    .execute(db)
    .await
    .map_err(Error::doing("note a secret that is given out"))?;
    Ok(())
}

#[derive(FromRow)]
struct Record {
    name: String,
    version: i32,
    node: i32,
    item: i32,
    visit: i32,
    attempt: i32,
    execution: Uuid,
    delivered_at_ms: i64,
}

impl Record {
    fn read(self) -> Result<SecretDelivery, Error> {
        let address = StepAddress {
            node: unsigned("secret_delivery.node", self.node)?,
            item: unsigned("secret_delivery.item", self.item)?,
            visit: unsigned("secret_delivery.visit", self.visit)?,
        };
        Ok(SecretDelivery {
            name: secret::name("secret_delivery.name", &self.name)?,
            version: unsigned("secret_delivery.version", self.version)?,
            step: address.to_string(),
            address,
            attempt: unsigned("secret_delivery.attempt", self.attempt)?,
            execution: ExecutionId::from_uuid(self.execution),
            delivered_at_ms: unsigned("secret_delivery.delivered_at", self.delivered_at_ms)?,
        })
    }
}

/// What the attempts of a run were given, the last first. Steps are called by their numbers: their ids
/// stand in the plan.
pub async fn of_run(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    run: RunId,
    count_max: u16,
) -> Result<Vec<SecretDelivery>, Error> {
    let rows: Vec<Record> = sqlx::query_as(
        "select name, version, node, item, visit, attempt, execution,
                (extract(epoch from delivered_at) * 1000)::bigint as delivered_at_ms
           from secret_delivery where run = $1 and project = $2
          order by delivered_at desc, name limit $3",
    )
    .bind(run.uuid())
    .bind(project.as_str())
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list secrets that were given out"))?;
    rows.into_iter().map(Record::read).collect()
}

/// Forgets what was given out longer than `age` ago, the oldest first, at most so much.
pub async fn expire(db: impl PgExecutor<'_>, age: Duration, count_max: u16) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from secret_delivery where ctid in (
           select ctid from secret_delivery
            where delivered_at < now() - $1 * interval '1 millisecond'
            order by delivered_at limit $2 for update skip locked)",
    )
    .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    .bind(i32::from(count_max))
    .execute(db)
    .await
    .map_err(Error::doing("forget secrets that were given out"))?;
    Ok(done.rows_affected())
}
