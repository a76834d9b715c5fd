//! The catalogue: actions that workers announced, the last word for each name.

use maestro_schemas::action::ActionInfo;
use maestro_schemas::api::plans::Catalogue;
use sqlx::PgExecutor;

use super::{Error, json};

/// The most actions that are kept of one announcement.
pub const ANNOUNCED_MAX: usize = 1_000;

/// Keeps what a worker announced.
pub async fn announce(db: impl PgExecutor<'_>, actions: &[ActionInfo]) -> Result<(), Error> {
    let mut names = Vec::new();
    let mut infos = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for action in actions.iter().take(ANNOUNCED_MAX).filter(|action| seen.insert(&action.name)) {
        names.push(action.name.as_str());
        infos.push(json::text(action).map_err(|error| Error::unreadable("action", error))?);
    }
    sqlx::query(
        "insert into action (name, info)
         select name, info::json from unnest($1::text[], $2::text[]) as x (name, info)
         on conflict (name) do update set info = excluded.info, seen_at = now()",
    )
    .bind(names)
    .bind(infos)
    .execute(db)
    .await
    .map_err(Error::doing("keep the catalogue"))?;
    Ok(())
}

/// The whole catalogue; an entry that this build cannot read is left out.
pub async fn catalogue(db: impl PgExecutor<'_>) -> Result<Catalogue, Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select name, info::text from action order by name")
            .fetch_all(db)
            .await
            .map_err(Error::doing("read the catalogue"))?;
    let actions = rows
        .into_iter()
        .filter_map(|(name, info)| Some((name, serde_json::from_str(&info).ok()?)))
        .collect();
    Ok(Catalogue { actions })
}
