//! Secrets by name, as encrypted versions.
//!
//! A new version is made under the lock of its secret's row ([`lock`]), so that two that come at once get
//! two numbers, and one of them is current. No plain value comes here.

use std::time::Duration;

use maestro_evidence::secret::envelope::Envelope;
use maestro_evidence::secret::kek::Wrapped;
use maestro_schemas::api::secrets::{SecretState, SecretVersion};
use maestro_schemas::name::{ProjectName, SecretName};
use maestro_schemas::secret::SecretRef;
use sqlx::{FromRow, PgConnection, PgExecutor};

use super::Error;
use super::number::{bigint, int, unsigned};

/// A secret of a project.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The tenant.
    pub project: &'a ProjectName,
    /// The secret's name.
    pub name: &'a SecretName,
}

/// A version that can be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// From 1.
    pub version: u32,
    /// The value, encrypted.
    pub envelope: Envelope,
}

#[derive(FromRow)]
struct Record {
    name: String,
    version: i32,
    state: String,
    kek: Option<String>,
    readable_until_ms: Option<i64>,
    created_at_ms: i64,
    created_by: String,
}

impl Record {
    fn read(self) -> Result<SecretVersion, Error> {
        let state = match self.state.as_str() {
            "current" => SecretState::Current,
            "previous" => SecretState::Previous,
            "revoked" => SecretState::Revoked,
            other => return Err(Error::unreadable("secret_version.state", other)),
        };
        let until = self.readable_until_ms.filter(|_| state == SecretState::Previous);
        let until = until.map(|ms| unsigned("secret_version.readable_until", ms)).transpose()?;
        Ok(SecretVersion {
            name: name("secret_version.name", &self.name)?,
            version: unsigned("secret_version.version", self.version)?,
            state,
            kek: self.kek,
            readable_until_ms: until,
            created_at_ms: unsigned("secret_version.created_at", self.created_at_ms)?,
            created_by: self.created_by,
        })
    }
}

#[derive(FromRow)]
struct Bytes {
    version: i32,
    kek: String,
    wrapped_key: Vec<u8>,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Bytes {
    fn read(self) -> Result<Kept, Error> {
        let length = self.nonce.len();
        let nonce = self.nonce.try_into();
        let nonce = nonce.map_err(|_| Error::unreadable("secret_version.nonce", length))?;
        let key = Wrapped { kek: self.kek, bytes: self.wrapped_key };
        Ok(Kept {
            version: unsigned("secret_version.version", self.version)?,
            envelope: Envelope { key, nonce, ciphertext: self.ciphertext },
        })
    }
}

pub(super) fn name(column: &'static str, text: &str) -> Result<SecretName, Error> {
    text.parse().map_err(|_| Error::unreadable(column, text))
}

/// The number of a secret's newest version; 0 where it has none.
pub async fn newest(db: impl PgExecutor<'_>, secret: Named<'_>) -> Result<u32, Error> {
    let newest: Option<i32> =
        sqlx::query_scalar("select newest from secret where project = $1 and name = $2")
            .bind(secret.project.as_str())
            .bind(secret.name.as_str())
            .fetch_optional(db)
            .await
            .map_err(Error::doing("look for a secret's newest version"))?;
    newest.map_or(Ok(0), |number| unsigned("secret.newest", number))
}

/// Locks a secret until the transaction ends, and answers the number of its newest version; 0 where it
/// has none yet. Nothing where the project would have more than `names_max`.
pub async fn lock(
    transaction: &mut PgConnection,
    secret: Named<'_>,
    names_max: u32,
) -> Result<Option<u32>, Error> {
    sqlx::query(
        "insert into secret (project, name, newest)
         select $1, $2, 0 where (select count(*) from secret where project = $1) < $3
         on conflict do nothing",
    )
    .bind(secret.project.as_str())
    .bind(secret.name.as_str())
    .bind(i64::from(names_max))
    .execute(&mut *transaction)
    .await
    .map_err(Error::doing("make a secret"))?;
    let newest: Option<i32> =
        sqlx::query_scalar("select newest from secret where project = $1 and name = $2 for update")
            .bind(secret.project.as_str())
            .bind(secret.name.as_str())
            .fetch_optional(transaction)
            .await
            .map_err(Error::doing("lock a secret"))?;
    newest.map(|number| unsigned("secret.newest", number)).transpose()
}

/// Whether a secret has a current version.
pub async fn is_set(db: impl PgExecutor<'_>, secret: Named<'_>) -> Result<bool, Error> {
    sqlx::query_scalar(
        "select exists (select from secret_version
                         where project = $1 and name = $2 and state = 'current')",
    )
    .bind(secret.project.as_str())
    .bind(secret.name.as_str())
    .fetch_one(db)
    .await
    .map_err(Error::doing("look for a secret"))
}

/// Makes the current version a previous one, which is given out for `grace` from now on. The caller holds
/// the secret's [`lock`].
pub async fn replace(
    transaction: &mut PgConnection,
    secret: Named<'_>,
    grace: Duration,
) -> Result<(), Error> {
    let ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let ms = bigint("secret_version.readable_until", ms)
        .map_err(|error| Error::unreadable("secret_version.readable_until", error))?;
    sqlx::query(
        "update secret_version
            set state = 'previous', readable_until = now() + $3 * interval '1 millisecond'
          where project = $1 and name = $2 and state = 'current'",
    )
    .bind(secret.project.as_str())
    .bind(secret.name.as_str())
    .bind(ms)
    .execute(transaction)
    .await
    .map_err(Error::doing("replace a version of a secret"))?;
    Ok(())
}

/// Makes a version, which is the current one. The caller holds the secret's [`lock`].
pub async fn add(
    transaction: &mut PgConnection,
    secret: Named<'_>,
    kept: &Kept,
    actor: &str,
) -> Result<(), Error> {
    let number = |error| Error::unreadable("secret_version.version", error);
    sqlx::query(
        "with made as (
           insert into secret_version (project, name, version, state, kek, wrapped_key, nonce, ciphertext,
                                       created_by)
           values ($1, $2, $3, 'current', $4, $5, $6, $7, $8))
         update secret set newest = $3 where project = $1 and name = $2",
    )
    .bind(secret.project.as_str())
    .bind(secret.name.as_str())
    .bind(int("secret_version.version", kept.version).map_err(number)?)
    .bind(&kept.envelope.key.kek)
    .bind(&kept.envelope.key.bytes)
    .bind(kept.envelope.nonce.as_slice())
    .bind(&kept.envelope.ciphertext)
    .bind(actor)
    .execute(transaction)
    .await
    .map_err(Error::doing("make a version of a secret"))?;
    Ok(())
}

/// Revokes a version, or all of them, and deletes their bytes; answers how many were there.
pub async fn revoke(
    db: impl PgExecutor<'_>,
    secret: Named<'_>,
    version: Option<u32>,
    actor: &str,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "update secret_version
            set state = 'revoked', kek = null, wrapped_key = null, nonce = null, ciphertext = null,
                revoked_at = now(), revoked_by = $4
          where project = $1 and name = $2 and state <> 'revoked'
            and ($3::bigint is null or version = $3)",
    )
    .bind(secret.project.as_str())
    .bind(secret.name.as_str())
    .bind(version.map(i64::from))
    .bind(actor)
    .execute(db)
    .await
    .map_err(Error::doing("revoke a secret"))?;
    Ok(done.rows_affected())
}

/// Versions of a project by name, of each the newest first, behind `after`.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    after: Option<(&SecretName, u32)>,
    count_max: u16,
) -> Result<Vec<SecretVersion>, Error> {
    let rows: Vec<Record> = sqlx::query_as(
        "select name, version, state, kek, created_by,
                (extract(epoch from readable_until) * 1000)::bigint as readable_until_ms,
                (extract(epoch from created_at) * 1000)::bigint as created_at_ms
           from secret_version
          where project = $1 and ($2::text is null or name collate \"C\" > $2
                                  or name = $2 and version < $3)
          order by name collate \"C\", version desc limit $4",
    )
    .bind(project.as_str())
    .bind(after.map(|(name, _)| name.as_str()))
    .bind(after.map(|(_, version)| i64::from(version)))
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list secrets"))?;
    rows.into_iter().map(Record::read).collect()
}

/// What a step gets that names this secret: the current version, or the one that it names while that is
/// given out.
pub async fn find(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    secret: &SecretRef,
) -> Result<Option<Kept>, Error> {
    let row: Option<Bytes> = sqlx::query_as(
        "select version, kek, wrapped_key, nonce, ciphertext
           from secret_version
          where project = $1 and name = $2
            and case when $3::bigint is null then state = 'current'
                     else version = $3 and (state = 'current'
                                            or state = 'previous' and readable_until > now()) end",
    )
    .bind(project.as_str())
    .bind(secret.name.as_str())
    .bind(secret.version.map(i64::from))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("read a secret"))?;
    row.map(Bytes::read).transpose()
}

/// Revokes previous versions whose time is over; answers how many.
pub async fn expire(db: impl PgExecutor<'_>, page: u16) -> Result<u64, Error> {
    let done = sqlx::query(
        "update secret_version
            set state = 'revoked', kek = null, wrapped_key = null, nonce = null, ciphertext = null,
                revoked_at = now()
          where (project, name, version) in
                (select project, name, version from secret_version
                  where state = 'previous' and readable_until <= now()
                  order by readable_until limit $1 for update skip locked)",
    )
    .bind(i32::from(page))
    .execute(db)
    .await
    .map_err(Error::doing("let versions of secrets go"))?;
    Ok(done.rows_affected())
}
