//! The secrets of an execution: asked for over the bus, sealed to a key that this execution makes,
//! registered for redaction before anybody has them, and wiped from memory with the execution, but for
//! what redaction looks for and for the variables of the step's processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use maestro_evidence::secret::Zeroizing;
use maestro_evidence::secret::seal::Opener;
use maestro_schemas::codec;
use maestro_schemas::id::ExecutionId;
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::secret::{SealedSecret, SecretRef, SecretUse, SecretsAnswer, SecretsQuestion};
use maestro_schemas::task::Task;
use maestro_streams::connect::Connection;
use maestro_streams::topology::subject;

use crate::redact::Redactor;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is asked where nobody answers, or asking again may help.
const ASKED_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// A secret that an execution has. It shows nothing of its value.
#[derive(Clone)]
pub struct Secret {
    /// Which it is.
    pub version: u32,
    /// Whether it is to be put into a file.
    pub file: bool,
    /// The value.
    pub value: Arc<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The secrets of an execution by the variable that gets each.
pub type Secrets = BTreeMap<String, Secret>;

/// Why an execution has not got its secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the step runs does not hand secrets on.
    #[error("MAE-7057: the action {0} takes no secrets; use them in a step of the pool build")]
    Untaken(String),
    /// The server refused.
    #[error("{code}: {message}")]
    Refused { code: String, message: String, transient: bool },
    /// Nobody answered, or not to this question.
    #[error("MAE-7059: the server did not give the step's secrets: {0}")]
    Unanswered(String),
    /// They cannot be kept out of what the step says.
    #[error("MAE-7058: the values are too large together to be looked for in what the step says")]
    Unfit,
}

impl Error {
    pub(crate) fn into_outcome(self) -> Outcome {
        let class = match &self {
            Self::Untaken(_) | Self::Unfit => FailureClass::Permanent,
            Self::Refused { transient: true, .. } | Self::Unanswered(_) => FailureClass::Transient,
            Self::Refused { .. } => FailureClass::Denied,
        };
        Outcome::failed(class, self.to_string())
    }
}

/// The secrets of a task, for this execution of it. They are registered with `redactor`.
pub(crate) async fn obtain(
    connection: &Connection,
    (task, execution): (&Task, ExecutionId),
    redactor: &Redactor,
) -> Result<Secrets, Error> {
    let opener = Opener::generate();
    let secrets: BTreeSet<&SecretRef> = task.secrets.values().map(|one| &one.secret).collect();
    let question = SecretsQuestion {
        run: task.run,
        step: task.step,
        token: task.token,
        execution,
        secrets: secrets.into_iter().cloned().collect(),
        key: opener.public().to_vec(),
    };
    let sealed = ask(connection, task, &question).await?;
    let opened = open(&opener, &question, sealed)?;
    register(redactor, &opened).await?;
    let handed = |(variable, wanted): (&String, &SecretUse)| {
        let (version, value) = opened.get(&wanted.secret)?;
        let value = Arc::clone(value);
        Some((variable.clone(), Secret { version: *version, file: wanted.file, value }))
    };
    Ok(task.secrets.iter().filter_map(handed).collect())
}

/// Large values have many forms: what looks for them is not made among other executions' work.
async fn register(redactor: &Redactor, opened: &Opened) -> Result<(), Error> {
    let redactor = redactor.clone();
    let values: Vec<_> = opened.values().map(|(_, value)| Arc::clone(value)).collect();
    let registering = tokio::task::spawn_blocking(move || {
        redactor.register(values.iter().map(|value| value.as_slice()))
    });
    match registering.await {
        Ok(registered) => registered.map_err(|_| Error::Unfit),
        Err(_) => Err(Error::Unanswered("the worker is ending".to_owned())),
    }
}

type Opened = BTreeMap<SecretRef, (u32, Arc<Zeroizing<Vec<u8>>>)>;

fn open(
    opener: &Opener,
    question: &SecretsQuestion,
    sealed: Vec<SealedSecret>,
) -> Result<Opened, Error> {
    let other = || Error::Unanswered("the answer is to another question".to_owned());
    if sealed.len() != question.secrets.len() {
        return Err(other());
    }
    let mut opened = Opened::new();
    for (wanted, sealed) in question.secrets.iter().zip(sealed) {
        let is_it = sealed.name == wanted.name
            && wanted.version.is_none_or(|version| version == sealed.version);
        let value = opener.open(question, &sealed).map_err(|_| other())?;
        if !is_it {
            return Err(other());
        }
        opened.insert(wanted.clone(), (sealed.version, Arc::new(value)));
    }
    Ok(opened)
}

async fn ask(
    connection: &Connection,
    task: &Task,
    question: &SecretsQuestion,
) -> Result<Vec<SealedSecret>, Error> {
    let unread = |error: codec::Error| Error::Unanswered(error.to_string());
    let bytes = Bytes::from(codec::encode(question).map_err(unread)?);
    let mut asked = 0;
    loop {
        asked += 1;
        let to = subject::secrets(&task.pool);
        let error = match connection.request(to, bytes.clone(), PATIENCE).await {
            Ok(answer) => match codec::decode(&answer).map_err(unread)? {
                SecretsAnswer::Sealed { secrets } => return Ok(secrets),
                SecretsAnswer::Refused { code, message, transient } => {
                    Error::Refused { code, message, transient }
                }
            },
            Err(error) => Error::Unanswered(error.to_string()),
        };
        let is_final = matches!(error, Error::Refused { transient: false, .. });
        if is_final || asked >= ASKED_MAX {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * asked).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_evidence::secret::seal::seal;
    use maestro_schemas::id::RunId;
    use maestro_schemas::step::{AttemptToken, StepAddress};

    fn question(opener: &Opener, secrets: &[&str]) -> SecretsQuestion {
        SecretsQuestion {
            run: RunId::generate(),
            step: StepAddress::node(0),
            token: AttemptToken { number: 1, epoch: 1 },
            execution: ExecutionId::generate(),
            secrets: secrets.iter().map(|secret| secret.parse().unwrap()).collect(),
            key: opener.public().to_vec(),
        }
    }

    #[test]
    fn an_answer_is_taken_only_in_whole_and_for_what_was_asked() {
        let opener = Opener::generate();
        let question = question(&opener, &["a", "b@2"]);
        let sealed = |name: &str, version| {
            seal(&question, (&name.parse().unwrap(), version), name.as_bytes()).unwrap()
        };
        let opened = open(&opener, &question, vec![sealed("a", 7), sealed("b", 2)]).unwrap();
        let held: Vec<(String, u32)> =
            opened.iter().map(|(name, (version, _))| (name.to_string(), *version)).collect();
        assert_eq!(held, [("a".to_owned(), 7), ("b@2".to_owned(), 2)]);
        for answer in [
            vec![sealed("a", 7)],
            vec![sealed("b", 2), sealed("a", 7)],
            vec![sealed("a", 7), sealed("b", 3)],
        ] {
            assert!(open(&opener, &question, answer).is_err());
        }
    }

    #[test]
    fn a_secret_shows_nothing_of_its_value() {
        let value = Arc::new(Zeroizing::new(b"hunter2!".to_vec()));
        let shown = format!("{:?}", Secret { version: 3, file: false, value });
        assert_eq!(shown, "Secret { version: 3, .. }");
    }
}
