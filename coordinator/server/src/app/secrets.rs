//! Keeps secrets: takes new versions, lists and revokes them, wraps their keys anew. No value comes back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::secret::kek::{self, Context, Kek, Wrapped};
use maestro_evidence::secret::{Zeroizing, envelope};
use maestro_schemas::api::secrets::{
    SecretDeliveries, SecretPage, SecretVersion, SecretsRevoked, SecretsRewrapped,
};
use maestro_schemas::id::RunId;
use maestro_schemas::name::{ProjectName, SecretName};
use maestro_schemas::secret::{NAMES_MAX, SecretRef, VALUE_BYTES_MAX, VALUE_BYTES_MIN};

use super::act::{self, Done};
use super::list_steps::step_name;
use super::{App, Asker, Error};
use crate::store::secret::{self, Kept, Named};
use crate::store::{secret_delivery, secret_key};
use sqlx::PgConnection;

/// The most versions of a secret.
pub const VERSIONS_MAX: u32 = 10_000;
/// How long a replaced version is given out where nobody says how long.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(3_600);
/// The longest that a replaced version is given out.
pub const GRACE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The most versions of a page.
pub const PAGE_MAX: u16 = 200;
/// The versions of a page where nobody says how many.
pub const PAGE_DEFAULT: u16 = 50;
/// The most data keys that one request wraps anew.
pub const REWRAP_PAGE: u16 = 100;
/// How often a version is made anew because somebody else made one meanwhile.
const CHANGES_MAX: u32 = 5;
/// The most deliveries of a run that are listed.
const DELIVERIES_MAX: u16 = 1_000;

/// What wraps data keys, where there is something. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keyring(Option<Arc<dyn Kek>>);

impl Keyring {
    /// These.
    pub fn of(kek: Arc<dyn Kek>) -> Self {
        Self(Some(kek))
    }

    pub(super) fn get(&self) -> Result<&dyn Kek, Error> {
        self.0.as_deref().ok_or(Error::Secret(Fault::NoKeys))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("there", &self.0.is_some()).finish()
    }
}

/// Why a secret is not kept, found or given out. No message holds anything of a value.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The value cannot be one.
    #[error("{0}")]
    Unfit(String),
    /// There is a current version already.
    #[error("the secret {0} is set already")]
    Exists(SecretName),
    /// The project or the secret is full.
    #[error("{0}")]
    Full(String),
    /// There is no such secret, or nobody gets it any more.
    #[error("there is no secret {0} that is given out")]
    Missing(SecretRef),
    /// The server has no key-encryption key.
    #[error("this server has no key-encryption key, so it keeps and gives out no secrets")]
    NoKeys,
    /// An execution may not have what it asks for.
    #[error("{0}")]
    Undeclared(String),
    /// Its key is gone, or its row was changed.
    #[error("the secret {of} cannot be decrypted")]
    Lost {
        /// Which version.
        of: String,
        /// Why.
        #[source]
        source: kek::Error,
    },
    /// The keys cannot be used now.
    #[error("the key-encryption keys do not answer now")]
    KeysAway(#[source] kek::Error),
    /// The keys cannot be used before somebody mends that.
    #[error("the key-encryption keys cannot be used; the server's log says why")]
    KeysRefused(#[source] kek::Error),
}

/// What a fault of keys is to the secret of this context.
pub(super) fn fault(context: &Context, source: kek::Error) -> Error {
    let of = || format!("{}@{}", context.name, context.version);
    Error::Secret(match source {
        kek::Error::Unavailable { transient: true, .. } => Fault::KeysAway(source),
        kek::Error::Unavailable { .. } => Fault::KeysRefused(source),
        kek::Error::Unknown { .. } | kek::Error::Mismatch => Fault::Lost { of: of(), source },
    })
}

/// What is done to a value that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is the secret's only version that is given out.
    Set,
    /// It takes the place of the current one, which is given out for this long from now on.
    Rotate {
        /// Zero: it is revoked at once.
        grace: Duration,
    },
}

impl Change {
    fn action(self) -> &'static str {
        match self {
            Self::Set => "secret.set",
            Self::Rotate { .. } => "secret.rotate",
        }
    }
}

impl App {
    /// Makes the current version of a secret.
    pub async fn keep_secret(
        &self,
        asker: &Asker,
        (name, change): (SecretName, Change),
        value: Zeroizing<Vec<u8>>,
    ) -> Result<SecretVersion, Error> {
        check(&value)?;
        let kek = self.keyring.get()?;
        let named = Named { project: &asker.project, name: &name };
        for _ in 0..CHANGES_MAX {
            let newest = secret::newest(&self.pool, named).await?;
            if newest >= VERSIONS_MAX {
                let message = format!("{name} has {VERSIONS_MAX} versions, the most");
                return Err(Error::Secret(Fault::Full(message)));
            }
            let version = newest + 1;
            let about = context(named, version);
            // Keys may be far away: no connection and no lock waits for them.
            let envelope = envelope::close(kek, &value, &about).await;
            let envelope = envelope.map_err(|error| fault(&about, error))?;
            let kept = Kept { version, envelope };
            if let Some(made) = self.add_version(asker, (named, change), &kept).await? {
                return Ok(made);
            }
        }
        Err(Error::Unavailable("the secret is being changed by others; try again"))
    }

    /// Nothing where somebody else made this version meanwhile.
    async fn add_version(
        &self,
        asker: &Asker,
        (named, change): (Named<'_>, Change),
        kept: &Kept,
    ) -> Result<Option<SecretVersion>, Error> {
        let mut transaction = self.begin().await?;
        let newest = secret::lock(&mut transaction, named, NAMES_MAX).await?.ok_or_else(|| {
            Error::Secret(Fault::Full(format!("the project has {NAMES_MAX} secrets, the most")))
        })?;
        if newest + 1 != kept.version {
            return Ok(None);
        }
        make_way(&mut transaction, (named, newest), change, &asker.actor).await?;
        secret::add(&mut transaction, named, kept, &asker.actor).await?;
        // Its digest would let one try values.
        let done = Done::to(change.action(), format!("{}@{}", named.name, kept.version));
        act::keep(&mut transaction, asker, done).await?;
        let after = Some((named.name, kept.version + 1));
        let made = secret::list(&mut *transaction, &asker.project, after, 1).await?;
        act::end(transaction).await?;
        let made = made.into_iter().next();
        made.map(Some).ok_or_else(|| Error::not_found("secret", named.name))
    }

    /// Versions by name, of each the newest first.
    pub async fn list_secrets(
        &self,
        project: &ProjectName,
        (limit, cursor): (Option<u16>, Option<String>),
    ) -> Result<SecretPage, Error> {
        let count = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let after = cursor.map(|cursor| cursor_of(&cursor)).transpose()?;
        let after = after.as_ref().map(|(name, version)| (name, *version));
        let mut versions = secret::list(&self.pool, project, after, count + 1).await?;
        let is_last = versions.len() <= usize::from(count);
        versions.truncate(usize::from(count));
        let next = versions.last().filter(|_| !is_last);
        let next = next.map(|last| format!("{}@{}", last.name, last.version));
        Ok(SecretPage { versions, next })
    }

    /// Revokes a version, or all of them; answers how many are gone by that.
    pub async fn revoke_secret(
        &self,
        asker: &Asker,
        secret: SecretRef,
    ) -> Result<SecretsRevoked, Error> {
        let named = Named { project: &asker.project, name: &secret.name };
        let mut transaction = self.begin().await?;
        // A name that was never set is not made by that.
        secret::lock(&mut transaction, named, 0).await?;
        let gone = secret::revoke(&mut *transaction, named, secret.version, &asker.actor).await?;
        if gone == 0 {
            return Err(Error::Secret(Fault::Missing(secret)));
        }
        let done = Done::to("secret.revoke", secret.to_string());
        act::keep(&mut transaction, asker, done).await?;
        act::end(transaction).await?;
        Ok(SecretsRevoked { versions: u32::try_from(gone).unwrap_or(u32::MAX) })
    }

    /// Wraps a page of a project's data keys by the newest key-encryption key: who is stopped on the way
    /// goes on later with what is left. What cannot be unwrapped is passed over, told and counted.
    pub async fn rewrap_secrets(&self, asker: &Asker) -> Result<SecretsRewrapped, Error> {
        let kek = self.keyring.get()?;
        let newest = kek.current().await.map_err(|error| fault(&nothing(&asker.project), error))?;
        let (mut anew, mut lost, mut after) = (Vec::new(), 0, None);
        while anew.len() < usize::from(REWRAP_PAGE) {
            let others = (&asker.project, newest.as_str());
            let page = secret_key::of_others(&self.pool, others, after.take(), REWRAP_PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some((last.name.clone(), last.version));
            for (context, former) in page {
                if anew.len() == usize::from(REWRAP_PAGE) {
                    break;
                }
                match envelope::rewrap(kek, &former, &context).await {
                    Ok(new) => anew.push((context, former, new)),
                    Err(error) => match fault(&context, error) {
                        Error::Secret(lost_one @ Fault::Lost { .. }) => {
                            tell(&lost_one);
                            lost += 1;
                        }
                        other => return Err(other),
                    },
                }
            }
        }
        let wrapped = self.put_keys(asker, &newest, &anew).await?;
        let left = secret_key::count_of_others(&self.pool, &asker.project, &newest).await?;
        Ok(SecretsRewrapped { wrapped, left, lost })
    }

    /// Puts data keys in the place of the same ones wrapped otherwise; answers how many.
    async fn put_keys(
        &self,
        asker: &Asker,
        newest: &str,
        anew: &[(Context, Wrapped, Wrapped)],
    ) -> Result<u32, Error> {
        let mut transaction = self.begin().await?;
        let mut wrapped = 0;
        for (context, former, new) in anew {
            if secret_key::replace(&mut *transaction, context, (former, new)).await? {
                wrapped += 1;
            }
        }
        if wrapped > 0 {
            let done = Done::to("secret.rewrap", format!("{wrapped} data keys by {newest}"));
            act::keep(&mut transaction, asker, done).await?;
        }
        act::end(transaction).await?;
        Ok(wrapped)
    }

    /// Which secrets the attempts of a run were given.
    pub async fn list_deliveries(
        &self,
        project: &ProjectName,
        run: RunId,
    ) -> Result<SecretDeliveries, Error> {
        let (_, plan) = self.head_and_plan(project, run).await?;
        let mut deliveries =
            secret_delivery::of_run(&self.pool, project, run, DELIVERIES_MAX).await?;
        for one in &mut deliveries {
            if let Some(name) = step_name(&plan, one.address) {
                one.step = name;
            }
        }
        Ok(SecretDeliveries { deliveries })
    }
}

/// What becomes of the current version, or why there can be no next one.
async fn make_way(
    transaction: &mut PgConnection,
    (named, newest): (Named<'_>, u32),
    change: Change,
    actor: &str,
) -> Result<(), Error> {
    let is_set = secret::is_set(&mut *transaction, named).await?;
    match change {
        Change::Set if is_set => return Err(Error::Secret(Fault::Exists(named.name.clone()))),
        Change::Rotate { .. } if !is_set => {
            let secret = SecretRef { name: named.name.clone(), version: None };
            return Err(Error::Secret(Fault::Missing(secret)));
        }
        Change::Set => {}
        Change::Rotate { grace } if grace.is_zero() => {
            secret::revoke(&mut *transaction, named, Some(newest), actor).await?;
        }
        Change::Rotate { grace } => secret::replace(transaction, named, grace).await?,
    }
    Ok(())
}

/// Says in the server's log what cannot be used of the keys of secrets, and why.
pub(crate) fn tell(fault: &Fault) {
    tracing::error!(error = fault as &dyn std::error::Error, "a secret cannot be used");
}

/// The context of no secret, for what concerns the keys alone.
fn nothing(project: &ProjectName) -> Context {
    Context { project: project.to_string(), name: String::new(), version: 0 }
}

pub(super) fn context(named: Named<'_>, version: u32) -> Context {
    let (project, name) = (named.project.to_string(), named.name.to_string());
    Context { project, name, version }
}

/// What is too short would mask words that are no secret, and could be guessed from what is masked.
fn check(value: &[u8]) -> Result<(), Error> {
    let unfit = |message: String| Err(Error::Secret(Fault::Unfit(message)));
    if value.len() > VALUE_BYTES_MAX {
        return unfit(format!(
            "the value has {} bytes; the most is {VALUE_BYTES_MAX}",
            value.len()
        ));
    }
    let solid = value.trim_ascii().len();
    if solid < VALUE_BYTES_MIN {
        return unfit(format!(
            "the value has {solid} bytes without the white space around it; the least is {VALUE_BYTES_MIN}, because a shorter one cannot be kept out of logs"
        ));
    }
    Ok(())
}

fn cursor_of(text: &str) -> Result<(SecretName, u32), Error> {
    let read: Option<SecretRef> = text.parse().ok();
    let read = read.and_then(|secret| Some((secret.name, secret.version?)));
    read.ok_or_else(|| Error::invalid("cursor", "expected what the page before gave as `next`"))
}
