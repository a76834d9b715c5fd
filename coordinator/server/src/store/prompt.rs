//! Prompts by name: versions that never change, and the labels that people give them.
//!
//! A new version is made under the lock of its prompt's row ([`lock`]), so that two that come at once
//! get two numbers.

use maestro_schemas::api::prompts::{PromptText, PromptVersion};
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::Registered;
use sqlx::{FromRow, PgConnection, PgExecutor};

use super::number::{bigint, int, unsigned};
use super::{Error, json};

/// A prompt of a project.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The tenant.
    pub project: &'a ProjectName,
    /// The prompt's name.
    pub name: &'a str,
}

/// Which of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The last that was made.
    Newest,
    /// By its number.
    Number(u32),
    /// The newest with this text.
    Digest(Digest),
}

/// A version that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// From 1.
    pub version: u32,
    /// The SHA-256 of its text.
    pub digest: Digest,
    /// One sentence for people.
    pub description: &'a str,
    /// Its text.
    pub text: &'a str,
    /// A token's name.
    pub actor: &'a str,
}

#[derive(FromRow)]
struct Record {
    name: String,
    version: i32,
    digest: Vec<u8>,
    description: String,
    labels: Vec<String>,
    created_at_ms: i64,
    created_by: String,
}

#[derive(FromRow)]
struct Whole {
    #[sqlx(flatten)]
    record: Record,
    body: String,
}

impl Record {
    fn read(self) -> Result<PromptVersion, Error> {
        Ok(PromptVersion {
            name: self.name,
            version: unsigned("prompt_version.version", self.version)?,
            digest: json::digest("prompt_version.digest", &self.digest)?,
            description: self.description,
            labels: self.labels.into_iter().collect(),
            created_at_ms: unsigned("prompt_version.created_at", self.created_at_ms)?,
            created_by: self.created_by,
        })
    }
}

/// What is read of a version `v`.
macro_rules! columns {
    () => {
        "v.name, v.version, v.digest, v.description,
         array(select l.label from prompt_label l
                where l.project = v.project and l.name = v.name and l.version = v.version
                  and l.removed_at is null) as labels,
         (extract(epoch from v.created_at) * 1000)::bigint as created_at_ms, v.created_by"
    };
}

/// Locks a prompt until the transaction ends, and answers the number of its newest version; 0 where it
/// has none yet. Nothing where the project would have more than `prompts_max`.
pub async fn lock(
    transaction: &mut PgConnection,
    prompt: Named<'_>,
    prompts_max: u32,
) -> Result<Option<u32>, Error> {
    sqlx::query(
        "insert into prompt (project, name, newest)
         select $1, $2, 0 where (select count(*) from prompt where project = $1) < $3
         on conflict do nothing",
    )
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(i64::from(prompts_max))
    .execute(&mut *transaction)
    .await
    .map_err(Error::doing("make a prompt"))?;
    let newest: Option<i32> =
        sqlx::query_scalar("select newest from prompt where project = $1 and name = $2 for update")
            .bind(prompt.project.as_str())
            .bind(prompt.name)
            .fetch_optional(transaction)
            .await
            .map_err(Error::doing("lock a prompt"))?;
    newest.map(|number| unsigned("prompt.newest", number)).transpose()
}

/// Makes a version, which becomes the newest. The caller holds the prompt's [`lock`].
pub async fn add(
    transaction: &mut PgConnection,
    prompt: Named<'_>,
    new: New<'_>,
) -> Result<(), Error> {
    let number = |error| Error::unreadable("prompt_version.version", error);
    sqlx::query(
        "with made as (
           insert into prompt_version (project, name, version, digest, description, body, created_by)
           values ($1, $2, $3, $4, $5, $6, $7))
         update prompt set newest = $3 where project = $1 and name = $2",
    )
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(int("prompt_version.version", new.version).map_err(number)?)
    .bind(new.digest.as_bytes().as_slice())
    .bind(new.description)
    .bind(new.text)
    .bind(new.actor)
    .execute(transaction)
    .await
    .map_err(Error::doing("make a version of a prompt"))?;
    Ok(())
}

/// A version with its text.
pub async fn find(
    db: impl PgExecutor<'_>,
    prompt: Named<'_>,
    which: Which,
) -> Result<Option<PromptText>, Error> {
    let (number, digest) = match which {
        Which::Newest => (None, None),
        Which::Number(number) => (Some(i64::from(number)), None),
        Which::Digest(digest) => (None, Some(digest)),
    };
    let found: Option<Whole> = sqlx::query_as(concat!(
        "select ",
        columns!(),
        ", v.body
           from prompt_version v
          where v.project = $1 and v.name = $2 and ($3::bigint is null or v.version = $3)
            and ($4::bytea is null or v.digest = $4)
          order by v.version desc limit 1"
    ))
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(number)
    .bind(digest.map(|digest| digest.as_bytes().to_vec()))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look a prompt up"))?;
    found.map(|row| Ok(PromptText { version: row.record.read()?, text: row.body })).transpose()
}

/// The newest version of each prompt of a project, by name, behind `after`.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    after: &str,
    count_max: u16,
) -> Result<Vec<PromptVersion>, Error> {
    let rows: Vec<Record> = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from prompt p join prompt_version v
             on v.project = p.project and v.name = p.name and v.version = p.newest
          where p.project = $1 and p.name collate \"C\" > $2
          order by p.name collate \"C\" limit $3"
    ))
    .bind(project.as_str())
    .bind(after)
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list prompts"))?;
    rows.into_iter().map(Record::read).collect()
}

/// The versions of a prompt below `before`, the newest first.
pub async fn versions(
    db: impl PgExecutor<'_>,
    prompt: Named<'_>,
    before: u32,
    count_max: u16,
) -> Result<Vec<PromptVersion>, Error> {
    let rows: Vec<Record> = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from prompt_version v
          where v.project = $1 and v.name = $2 and v.version < $3
          order by v.version desc limit $4"
    ))
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(i64::from(before))
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list versions of a prompt"))?;
    rows.into_iter().map(Record::read).collect()
}

/// What is known of a text: its newest version and that one's labels.
pub async fn registered(
    db: impl PgExecutor<'_>,
    prompt: Named<'_>,
    digest: Digest,
) -> Result<Registered, Error> {
    let row: Option<(i32, Vec<String>)> = sqlx::query_as(
        "select v.version, array(select l.label from prompt_label l
                  where l.project = v.project and l.name = v.name and l.version = v.version
                    and l.removed_at is null)
           from prompt_version v
          where v.project = $1 and v.name = $2 and v.digest = $3
          order by v.version desc limit 1",
    )
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look a prompt's version up"))?;
    let Some((version, labels)) = row else { return Ok(Registered::default()) };
    let version = unsigned("prompt_version.version", version)?;
    Ok(Registered { version, labels: labels.into_iter().collect() })
}

/// Gives a version a label; one that it has stays. Nothing is done where it would have more than
/// `labels_max`: then the answer is false.
pub async fn label(
    db: impl PgExecutor<'_>,
    prompt: Named<'_>,
    (version, label): (u32, &str),
    (actor, labels_max): (&str, u32),
) -> Result<bool, Error> {
    let number = |error| Error::unreadable("prompt_label.version", error);
    sqlx::query_scalar(
        "with held as (select label from prompt_label
                        where project = $1 and name = $2 and version = $3 and removed_at is null),
         made as (
           insert into prompt_label (project, name, version, label, set_by)
           select $1, $2, $3, $4, $5 where (select count(*) from held) < $6
           on conflict (project, name, version, label) where removed_at is null do nothing
           returning 1)
         select exists (select from made) or exists (select from held where label = $4)
             or (select count(*) from held) < $6",
    )
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(int("prompt_label.version", version).map_err(number)?)
    .bind(label)
    .bind(actor)
    .bind(bigint("labels", u64::from(labels_max)).map_err(number)?)
    .fetch_one(db)
    .await
    .map_err(Error::doing("label a prompt"))
}

/// Takes a label from a version; false where it does not have it, which is no matter.
pub async fn unlabel(
    db: impl PgExecutor<'_>,
    prompt: Named<'_>,
    (version, label): (u32, &str),
    actor: &str,
) -> Result<bool, Error> {
    let number = |error| Error::unreadable("prompt_label.version", error);
    let done = sqlx::query(
        "update prompt_label set removed_at = now(), removed_by = $5
          where project = $1 and name = $2 and version = $3 and label = $4 and removed_at is null",
    )
    .bind(prompt.project.as_str())
    .bind(prompt.name)
    .bind(int("prompt_label.version", version).map_err(number)?)
    .bind(label)
    .bind(actor)
    .execute(db)
    .await
    .map_err(Error::doing("take a label from a prompt"))?;
    Ok(done.rows_affected() > 0)
}
