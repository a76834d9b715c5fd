//! Begins a run of a stored plan, once for each idempotency key.

use std::collections::BTreeMap;

use maestro_schemas::api::runs::SubmitResponse;
use maestro_schemas::command::{CommandAnswer, Rerun};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, RunId};
use maestro_schemas::submit::SubmitRequest;
use serde_json::json;

use super::{App, Asker, Error, check_text};
use crate::store::submission::{self, SubmissionRow};
use crate::store::{plan, shard};

/// The most labels of a run.
pub const LABELS_MAX: usize = 32;
/// The longest name of a label, in bytes.
pub const LABEL_NAME_MAX: usize = 63;
/// The longest value of a label, in bytes.
pub const LABEL_VALUE_MAX: usize = 256;
/// The longest idempotency key, in bytes.
pub const KEY_MAX: usize = 200;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// A stored plan.
    pub plan: Digest,
    /// What lists are filtered by.
    pub labels: BTreeMap<String, String>,
    /// What it takes over from a run before it.
    pub rerun: Option<Rerun>,
    /// Same key, same request: the same run. Absent means that nobody will ask again.
    pub idempotency_key: Option<String>,
}

impl App {
    /// Submits what a request asks for; the answer comes once the run is committed, or says that
    /// this is not known yet.
    pub async fn submit_run(
        &self,
        asker: &Asker,
        request: SubmitRequest,
    ) -> Result<SubmitResponse, Error> {
        let mut labels = request.labels;
        let plan = match (request.plan, request.pipeline) {
            (Some(digest), None) if request.inputs.is_empty() => digest,
            (None, Some(text)) => {
                let (digest, named) = self.store_pipeline(asker, &text, request.inputs).await?;
                labels = named.into_iter().chain(labels).collect();
                digest
            }
            (Some(_), None) => {
                return Err(Error::invalid(
                    "inputs",
                    "a plan has its inputs already; they go with `pipeline`",
                ));
            }
            _ => {
                return Err(Error::invalid(
                    "plan",
                    "expected exactly one of `plan` and `pipeline`",
                ));
            }
        };
        let idempotency_key = request.idempotency_key;
        self.begin_run(asker, Wanted { plan, labels, rerun: None, idempotency_key }).await
    }

    /// Stores the submission under its key and sends its command.
    pub async fn begin_run(&self, asker: &Asker, wanted: Wanted) -> Result<SubmitResponse, Error> {
        check_labels(&wanted.labels)?;
        wanted.idempotency_key.as_deref().map(check_key).transpose()?;
        let row = self.submission(asker, wanted).await?;
        let (stands, repeated) = submission::store(&self.pool, &row).await?;
        if stands.request_digest != row.request_digest {
            return Err(Error::KeyTaken { key: stands.idempotency_key, run: stands.run });
        }
        let before = if repeated { self.recorded(stands.command).await? } else { None };
        let answer = match before {
            Some(answer) => Some(answer),
            None => self.send_command(stands.shard, stands.command(None)).await?,
        };
        match answer {
            Some(CommandAnswer::Refused { code, message }) => Err(Error::Refused { code, message }),
            answer => Ok(SubmitResponse { run: stands.run, committed: answer.is_some(), repeated }),
        }
    }

    async fn submission(&self, asker: &Asker, wanted: Wanted) -> Result<SubmissionRow, Error> {
        let Wanted { plan: digest, labels, rerun, idempotency_key } = wanted;
        if !plan::exists(&self.pool, &asker.project, digest).await? {
            return Err(Error::not_found("plan", digest));
        }
        let run = RunId::generate();
        let idempotency_key = idempotency_key.unwrap_or_else(|| format!("once-{}", run.token()));
        let request = json!({ "plan": digest, "labels": labels, "rerun": rerun });
        Ok(SubmissionRow {
            project: asker.project.clone(),
            idempotency_key,
            request_digest: Digest::of_json(&request),
            run,
            command: CommandId::generate(),
            shard: shard_of(run, shard::count(&self.pool).await?)?,
            plan: digest,
            labels,
            rerun,
            actor: asker.actor.clone(),
        })
    }
}

/// The shard that a new run goes to, by its id; stored from then on.
fn shard_of(run: RunId, shards: u16) -> Result<u16, Error> {
    let bits = run.uuid().as_u128() % u128::from(shards.max(1));
    match (shards, u16::try_from(bits)) {
        (1.., Ok(shard)) => Ok(shard),
        _ => Err(Error::Unavailable("no coordinator has laid out the shards yet")),
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > KEY_MAX {
        let message = format!("expected 1 to {KEY_MAX} bytes, found {}", key.len());
        return Err(Error::invalid("idempotency_key", message));
    }
    check_text("idempotency_key", key)
}

/// Whether labels are few and short enough to be filtered by.
fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Error> {
    if labels.len() > LABELS_MAX {
        return Err(Error::invalid(
            "labels",
            format!("found {}, at most {LABELS_MAX} are taken", labels.len()),
        ));
    }
    for (name, value) in labels {
        let fits =
            !name.is_empty() && name.len() <= LABEL_NAME_MAX && value.len() <= LABEL_VALUE_MAX;
        check_text("labels", name)?;
        check_text("labels", value)?;
        if !fits {
            let shown: String = name.chars().take(LABEL_NAME_MAX).collect();
            let message = format!(
                "{shown:?}: expected a name of 1 to {LABEL_NAME_MAX} bytes and a value of at most {LABEL_VALUE_MAX}"
            );
            return Err(Error::invalid("labels", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_spread_over_all_shards_and_over_none_where_there_are_none() {
        let mut seen = [0u32; 4];
        for _ in 0..400 {
            seen[usize::from(shard_of(RunId::generate(), 4).unwrap())] += 1;
        }
        assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
        assert!(shard_of(RunId::generate(), 0).is_err());
    }

    #[test]
    fn labels_and_keys_have_limits() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(check_labels(&one("branch", "main")).is_ok());
        for labels in [
            one("", "x"),
            one(&"n".repeat(64), "x"),
            one("n", &"v".repeat(257)),
            one("n", "a\0"),
            one("n", "a\n"),
        ] {
            assert!(check_labels(&labels).is_err(), "{labels:?}");
        }
        assert!(check_labels(&(0..33).map(|n| (n.to_string(), String::new())).collect()).is_err());
        assert!(check_key(&"k".repeat(201)).is_err());
        assert!(check_key("a\nb").is_err());
    }
}
