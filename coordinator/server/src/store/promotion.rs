//! Promotions that were permitted, with what was asked of the policies and the summary that was signed. A
//! row never changes.

use maestro_schemas::api::promotions::Promotion;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{PromotionId, RunId};
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor};

use super::number::{bigint, unsigned};
use super::{Error, json};

/// Which promotions.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this artifact.
    pub artifact: Option<Digest>,
    /// To this environment.
    pub environment: Option<String>,
    /// By the evidence of this run.
    pub run: Option<RunId>,
    /// Older than this one.
    pub before: Option<PromotionId>,
    /// The most.
    pub count_max: u16,
}

/// What is kept beside.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// What the policies were asked, as JSON.
    pub asked: &'a str,
    /// The signed summary.
    pub body: &'a [u8],
}

#[derive(FromRow)]
struct Record {
    id: uuid::Uuid,
    artifact: Vec<u8>,
    environment: String,
    run: uuid::Uuid,
    actor: String,
    policy: Vec<u8>,
    input: Vec<u8>,
    statement: Vec<u8>,
    at_ms: i64,
}

impl Record {
    fn read(self) -> Result<Promotion, Error> {
        Ok(Promotion {
            id: PromotionId::from_uuid(self.id),
            artifact: json::digest("promotion.artifact", &self.artifact)?,
            environment: self.environment,
            run: RunId::from_uuid(self.run),
            promoted_by: self.actor,
            promoted_at_ms: unsigned("promotion.at_ms", self.at_ms)?,
            policy: json::digest("promotion.policy", &self.policy)?,
            input: json::digest("promotion.input", &self.input)?,
            statement: json::digest("promotion.statement", &self.statement)?,
        })
    }
}

/// Keeps one.
pub async fn add(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    promotion: &Promotion,
    kept: Kept<'_>,
) -> Result<(), Error> {
    let at_ms = bigint("promotion.at_ms", promotion.promoted_at_ms)
        .map_err(|error| Error::unreadable("promotion.at_ms", error))?;
    sqlx::query(
        "insert into promotion (id, project, artifact, environment, run, actor, policy, input, asked,
                                statement, body, at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12)",
    )
    .bind(promotion.id.uuid())
    .bind(project.as_str())
    .bind(promotion.artifact.as_bytes().as_slice())
    .bind(&promotion.environment)
    .bind(promotion.run.uuid())
    .bind(&promotion.promoted_by)
    .bind(promotion.policy.as_bytes().as_slice())
    .bind(promotion.input.as_bytes().as_slice())
    .bind(kept.asked)
    .bind(promotion.statement.as_bytes().as_slice())
    .bind(kept.body)
    .bind(at_ms)
    .execute(db)
    .await
    .map_err(Error::doing("keep a promotion"))?;
    Ok(())
}

/// Promotions, the youngest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    filter: &Filter,
) -> Result<Vec<Promotion>, Error> {
    let rows: Vec<Record> = sqlx::query_as(
        "select id, artifact, environment, run, actor, policy, input, statement, at_ms from promotion
          where project = $1 and ($2::bytea is null or artifact = $2)
            and ($3::text is null or environment = $3) and ($4::uuid is null or run = $4)
            and ($5::uuid is null or id < $5)
          order by id desc limit $6",
    )
    .bind(project.as_str())
    .bind(filter.artifact.map(|digest| digest.as_bytes().to_vec()))
    .bind(filter.environment.as_deref())
    .bind(filter.run.map(RunId::uuid))
    .bind(filter.before.map(PromotionId::uuid))
    .bind(i32::from(filter.count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list promotions"))?;
    rows.into_iter().map(Record::read).collect()
}

/// The signed summary of one.
pub async fn summary(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    id: PromotionId,
) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar("select body from promotion where id = $1 and project = $2")
        .bind(id.uuid())
        .bind(project.as_str())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read the summary of a promotion"))
}
