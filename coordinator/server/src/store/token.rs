//! API tokens: a name, roles by project, and the hash of a secret that stands nowhere.

use std::collections::BTreeMap;

use maestro_schemas::id::{ActId, TokenId};
use sqlx::PgExecutor;

use super::audit_act::MAESTRO;
use super::{Error, json};

/// A token that was found by its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its public part.
    pub id: TokenId,
    /// Whose it is, for people and audit rows.
    pub name: String,
    /// Role by project, `*` for every one, as texts.
    pub roles: BTreeMap<String, String>,
}

/// Keeps a token. `hash` is the SHA-256 of its secret.
pub async fn store(db: impl PgExecutor<'_>, token: &TokenRow, hash: [u8; 32]) -> Result<(), Error> {
    let roles = json::text(&token.roles).map_err(|error| Error::unreadable("token", error))?;
    sqlx::query(
        "with made as (
           insert into token (id, name, hash, roles) values ($1, $2, $3, $4::jsonb)
           on conflict (hash) do nothing returning name, roles)
         insert into audit_act (id, actor, action, about, answer)
           select $5, $6, 'token.make', name, json_build_object('token', $7::text, 'roles', roles)
             from made",
    )
    .bind(token.id.uuid())
    .bind(&token.name)
    .bind(hash.as_slice())
    .bind(roles)
    .bind(ActId::generate().uuid())
    .bind(MAESTRO)
    .bind(token.id.to_string())
    .execute(db)
    .await
    .map_err(Error::doing("store a token"))?;
    Ok(())
}

/// The token whose secret has this hash, unless it was revoked.
pub async fn by_hash(db: impl PgExecutor<'_>, hash: [u8; 32]) -> Result<Option<TokenRow>, Error> {
    let row: Option<(uuid::Uuid, String, String)> = sqlx::query_as(
        "select id, name, roles::text from token where hash = $1 and revoked_at is null",
    )
    .bind(hash.as_slice())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for a token"))?;
    row.map(|(id, name, roles)| {
        Ok(TokenRow {
            id: TokenId::from_uuid(id),
            name,
            roles: json::value("token.roles", &roles)?,
        })
    })
    .transpose()
}

/// Revokes a token; false where there is none that lives.
pub async fn revoke(db: impl PgExecutor<'_>, id: TokenId) -> Result<bool, Error> {
    let done = sqlx::query(
        "with revoked as (
           update token set revoked_at = now() where id = $1 and revoked_at is null returning name)
         insert into audit_act (id, actor, action, about, answer)
           select $2, $3, 'token.revoke', name, json_build_object('token', $4::text) from revoked",
    )
    .bind(id.uuid())
    .bind(ActId::generate().uuid())
    .bind(MAESTRO)
    .bind(id.to_string())
    .execute(db)
    .await
    .map_err(Error::doing("revoke a token"))?;
    Ok(done.rows_affected() == 1)
}
