//! Commands that were folded, with their answers. Written by commits only.

use maestro_schemas::command::CommandAnswer;
use maestro_schemas::id::{CommandId, RunId};
use sqlx::PgExecutor;

use super::{Error, json};

/// What became of a command; absent where it has not been folded.
pub async fn answer(
    db: impl PgExecutor<'_>,
    command: CommandId,
) -> Result<Option<CommandAnswer>, Error> {
    Ok(named(db, command).await?.map(|(_, answer)| answer))
}

/// What became of a command, and which run it was about.
pub async fn named(
    db: impl PgExecutor<'_>,
    command: CommandId,
) -> Result<Option<(RunId, CommandAnswer)>, Error> {
    let row: Option<(uuid::Uuid, String)> =
        sqlx::query_as("select run, answer::text from audit where command = $1")
            .bind(command.uuid())
            .fetch_optional(db)
            .await
            .map_err(Error::doing("read a command's answer"))?;
    let read = |(run, text): (uuid::Uuid, String)| {
        Ok((RunId::from_uuid(run), json::value("audit.answer", &text)?))
    };
    row.map(read).transpose()
}

/// What became of several commands at once, for those that were folded.
pub async fn answers(
    db: impl PgExecutor<'_>,
    commands: &[CommandId],
) -> Result<Vec<(CommandId, CommandAnswer)>, Error> {
    let ids: Vec<uuid::Uuid> = commands.iter().map(|id| id.uuid()).collect();
    let rows: Vec<(uuid::Uuid, String)> =
        sqlx::query_as("select command, answer::text from audit where command = any ($1)")
            .bind(ids)
            .fetch_all(db)
            .await
            .map_err(Error::doing("read commands' answers"))?;
    rows.into_iter()
        .map(|(id, text)| Ok((CommandId::from_uuid(id), json::value("audit.answer", &text)?)))
        .collect()
}
