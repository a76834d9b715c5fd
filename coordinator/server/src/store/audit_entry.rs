//! Entries of the audit log as rows have them: commands that were folded, and acts.

use maestro_schemas::api::audit::{AuditItem, AuditRow};
use maestro_schemas::audit::{AuditEntry, ENTRY_VERSION, EntryId, answer_of};
use maestro_schemas::id::{ActId, CommandId, RunId};
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, json};

#[derive(FromRow)]
struct Record {
    is_command: bool,
    id: Uuid,
    leaf: Option<i64>,
    project: Option<String>,
    run: Option<Uuid>,
    actor: String,
    action: String,
    about: Option<String>,
    request: Option<Vec<u8>>,
    answer: String,
    at_ms: i64,
}

impl Record {
    fn read(self) -> Result<AuditItem, Error> {
        let id = match self.is_command {
            true => EntryId::Command(CommandId::from_uuid(self.id)),
            false => EntryId::Act(ActId::from_uuid(self.id)),
        };
        let project = self.project.map(|name| name.parse::<ProjectName>());
        let project = project.transpose();
        let request = self.request.as_deref().map(|bytes| json::digest("audit_act.request", bytes));
        let entry = AuditEntry {
            v: ENTRY_VERSION,
            id,
            at_ms: unsigned("audit.at_ms", self.at_ms)?,
            actor: self.actor,
            action: self.action,
            project: project.map_err(|error| Error::unreadable("audit.project", error))?,
            run: self.run.map(RunId::from_uuid),
            about: self.about,
            request: request.transpose()?,
            answer: answer_of(json::value("audit.answer", &self.answer)?),
        };
        let leaf = self.leaf.map(|leaf| unsigned("audit.leaf", leaf)).transpose()?;
        Ok(AuditItem { entry, leaf })
    }
}

fn read(rows: Vec<Record>) -> Result<Vec<AuditItem>, Error> {
    rows.into_iter().map(Record::read).collect()
}

macro_rules! columns {
    () => {
        "e.is_command, e.id, e.leaf, e.project, e.run, e.actor, e.action, e.about, e.request,
         e.answer, e.at_ms"
    };
}

/// Entries that wait for a place, the oldest first, at most `count_max`.
pub async fn waiting(db: impl PgExecutor<'_>, count_max: u16) -> Result<Vec<AuditItem>, Error> {
    let rows: Vec<Record> = sqlx::query_as(concat!(
        "with waiting as (
           select * from (
             (select true as is_command, command as id, recorded_at from audit
               where leaf is null order by recorded_at, command limit $1)
             union all
             (select false, id, recorded_at from audit_act
               where leaf is null order by recorded_at, id limit $1)) as both_kinds
            order by recorded_at, id limit $1)
         select ",
        columns!(),
        " from waiting w
            cross join lateral (select * from audit_entry x
                                 where x.id = w.id and x.is_command = w.is_command limit 1) e
          order by w.recorded_at, w.id"
    ))
    .bind(i64::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for entries of the audit log"))?;
    read(rows)
}

/// How many entries wait for a place, counted up to `count_max`, and since when the oldest does, in
/// milliseconds since 1970.
pub async fn backlog(db: impl PgExecutor<'_>, count_max: u16) -> Result<(u64, Option<u64>), Error> {
    let (count, since): (i64, Option<i64>) = sqlx::query_as(
        "select count(*), (extract(epoch from min(recorded_at)) * 1000)::bigint
           from ((select recorded_at from audit where leaf is null order by recorded_at, command limit $1)
                 union all
                 (select recorded_at from audit_act where leaf is null order by recorded_at, id limit $1)
                 order by recorded_at limit $1) as waiting",
    )
    .bind(i64::from(count_max))
    .fetch_one(db)
    .await
    .map_err(Error::doing("count entries that wait"))?;
    let since = since.map(|since| unsigned("audit.recorded_at", since)).transpose()?;
    Ok((unsigned("entries that wait", count)?, since))
}

/// Rows with places from `from` on and below `to`, in their order, and the next place after them
/// that any row has.
pub async fn rows(
    db: &sqlx::PgPool,
    (from, to): (u64, u64),
    count_max: u16,
) -> Result<(Vec<AuditRow>, Option<u64>), Error> {
    let place = |leaf: u64| i64::try_from(leaf).unwrap_or(i64::MAX);
    let rows: Vec<Record> = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from audit_entry e where e.leaf >= $1 and e.leaf < $2 order by e.leaf, e.id limit $3"
    ))
    .bind(place(from))
    .bind(place(to))
    .bind(i64::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("read entries by their places"))?;
    let after: Option<i64> = sqlx::query_scalar(
        "select min(leaf) from (
           (select leaf from audit where leaf >= $1 order by leaf limit 1)
           union all
           (select leaf from audit_act where leaf >= $1 order by leaf limit 1)) as later",
    )
    .bind(place(to))
    .fetch_one(db)
    .await
    .map_err(Error::doing("look for later places"))?;
    let after = after.map(|leaf| unsigned("audit.leaf", leaf)).transpose()?;
    let row = |item: AuditItem| {
        let entry = item.entry.canonical();
        let entry = entry.map_err(|error| Error::unreadable("an entry", error))?;
        Ok(AuditRow { leaf: item.leaf.unwrap_or_default(), entry })
    };
    let rows = read(rows)?.into_iter().map(row).collect::<Result<_, Error>>()?;
    Ok((rows, after))
}

/// Which entries of a project are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this action.
    pub action: Option<String>,
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this run: commands about it, and promotions by its evidence.
    pub run: Option<RunId>,
    /// Older than this time and id.
    pub before: Option<(u64, EntryId)>,
    /// The most entries.
    pub count_max: u16,
}

/// Entries of a project, the youngest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    filter: &Filter,
) -> Result<Vec<AuditItem>, Error> {
    let (before_ms, before) = match filter.before {
        Some((at_ms, id)) => (i64::try_from(at_ms).unwrap_or(i64::MAX), uuid(id)),
        None => (i64::MAX, Uuid::max()),
    };
    let rows: Vec<Record> = sqlx::query_as(concat!(
        "select * from (
           (select ",
        columns!(),
        " from audit_entry e
             where e.is_command and e.project = $1 and (e.at_ms, e.id) < ($2, $3)
               and ($4::text is null or e.action = $4) and ($5::text is null or e.actor = $5)
               and ($6::uuid is null or e.run = $6)
             order by e.at_ms desc, e.id desc limit $7)
           union all
           (select ",
        columns!(),
        " from audit_entry e
             where not e.is_command and e.project = $1 and (e.at_ms, e.id) < ($2, $3)
               and ($4::text is null or e.action = $4) and ($5::text is null or e.actor = $5)
               and ($6::uuid is null or (e.action = 'promotion.grant' and e.about like '%' || $8))
             order by e.at_ms desc, e.id desc limit $7)) as both_kinds
         order by at_ms desc, id desc limit $7"
    ))
    .bind(project.as_str())
    .bind(before_ms)
    .bind(before)
    .bind(&filter.action)
    .bind(&filter.actor)
    .bind(filter.run.map(|run| run.uuid()))
    .bind(i64::from(filter.count_max))
    .bind(filter.run.map(|run| format!(" by {run}")))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list entries of the audit log"))?;
    read(rows)
}

/// One entry of a project.
pub async fn find(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    id: EntryId,
) -> Result<Option<AuditItem>, Error> {
    let row: Option<Record> = sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from audit_entry e where e.is_command = $1 and e.id = $2 and e.project = $3"
    ))
    .bind(matches!(id, EntryId::Command(_)))
    .bind(uuid(id))
    .bind(project.as_str())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for an entry of the audit log"))?;
    row.map(Record::read).transpose()
}

/// What an entry's row is named by.
pub(super) fn uuid(id: EntryId) -> Uuid {
    match id {
        EntryId::Command(id) => id.uuid(),
        EntryId::Act(id) => id.uuid(),
    }
}
