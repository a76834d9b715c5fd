//! What an attempt may still spend, over all its executions.
//!
//! An attempt is carried out again where its worker died or was cut off, and then two may even be at
//! work at once. Its cap is one all the same: where it has one, before a call is made its most is added to
//! the attempt's last word on the bus, which the server replaces only for whoever has read it. What is known
//! of any call goes to the shard's inbox, so that it is in the books should this worker die now.
//!
//! Where it has no cap, no amount decides whether a call is made: then it can be announced before it is known
//! of which model, while that is found out.
//!
//! What must stay true: a call is made only after that is stored; the last word is never less than what
//! executions have spent, calls under way at their most (`tests/crash/workers.rs`); a call that was told and
//! then not made is no call in the books.

use std::sync::Arc;

use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::id::ExecutionId;
use maestro_schemas::report::{CallBegun, ModelCall, Spent};
use maestro_schemas::task::Task;
use maestro_streams::connect::Connection;
use maestro_streams::latest;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::spend_stream;
use maestro_streams::topology::subject::{self, Subject};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::announced::{Announced, News};
use crate::ledger::{Entry, Ledger};

/// How often somebody else may be faster before a call is given up.
const LATE_MAX: usize = 8;

/// Why a call may not be made now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another execution of the attempt has spent what this call was to cost.
    #[error("another execution of this attempt has spent what was left")]
    Spent,
    /// The bus does not take it down.
    #[error("the bus does not write down what is spent: {0}")]
    Away(String),
}

/// An attempt's account, as one execution of it sees it. Clones share it.
#[derive(Debug, Clone)]
pub struct Account {
    ledger: Ledger,
    execution: ExecutionId,
    cap: Option<u64>,
    desk: Option<Arc<Desk>>,
}

/// Where it is written down for others.
#[derive(Debug)]
pub(crate) struct Desk {
    connection: Connection,
    publisher: Publisher,
    task: Arc<Task>,
    execution: ExecutionId,
    said: Mutex<Said>,
}

/// The attempt's last word, as far as it is known here.
#[derive(Debug, Default)]
struct Said {
    /// Whether it was read, or may be taken for none.
    is_known: bool,
    number: u64,
    /// What other executions have spent.
    others: u64,
    /// What of it is this execution's.
    own: u64,
}

impl Account {
    /// For running a handler without a bus: nobody else carries the attempt out.
    pub fn alone(task: &Task, execution: ExecutionId, ledger: Ledger) -> Self {
        Self { ledger, execution, cap: task.cap_microusd, desk: None }
    }

    pub(crate) fn shared(
        (task, execution, delivered): (&Arc<Task>, ExecutionId, u32),
        ledger: Ledger,
        (connection, publisher): (&Connection, &Publisher),
    ) -> Self {
        let desk = Desk {
            connection: connection.clone(),
            publisher: publisher.clone(),
            task: Arc::clone(task),
            execution,
            // Should there be one after all, the server says so before anything is spent.
            said: Mutex::new(Said { is_known: delivered <= 1, ..Said::default() }),
        };
        Self { ledger, execution, cap: task.cap_microusd, desk: Some(Arc::new(desk)) }
    }

    /// What is left of the attempt's cap, where it has one.
    pub async fn left(&self) -> Result<Option<u64>, Error> {
        let Some(cap) = self.cap else { return Ok(None) };
        let others = match &self.desk {
            Some(desk) => desk.known().await?,
            None => 0,
        };
        Ok(Some(cap.saturating_sub(self.spent(others))))
    }

    /// Writes a call down that is about to be made, with the most that it may cost. It is made once
    /// [`Entry::made`] says so.
    pub async fn begin(&self, call: ModelCall) -> Result<Entry, Error> {
        if let (Some(desk), Some(cap)) = (&self.desk, self.cap) {
            self.reserve(desk, cap, call.cost_microusd).await?;
        }
        self.write(call).await
    }

    /// Writes down that a call is about to be made, where it is not known yet what it will be; nothing where
    /// there is a cap, with which the most that it may cost is compared first.
    pub async fn announce(&self, call: ModelCall) -> Result<Option<Announced>, Error> {
        if self.cap.is_some() {
            return Ok(None);
        }
        self.write(ModelCall { announced: true, ..call }).await.map(|entry| Some(Announced(entry)))
    }

    /// Enters a call here and tells the shard's owner of it; then it may be made.
    async fn write(&self, call: ModelCall) -> Result<Entry, Error> {
        let entry = self.ledger.begin(call).unmade();
        let Some(desk) = &self.desk else { return Ok(entry) };
        let entry = entry.told_at(self.clone());
        desk.tell(entry.ordinal(), entry.call()).await?;
        Ok(entry)
    }

    /// Adds a call's most to the attempt's last word.
    async fn reserve(&self, desk: &Desk, cap: u64, most: u64) -> Result<(), Error> {
        let mut said = desk.said.lock().await;
        let own = self.ledger.paid_microusd(self.execution).saturating_add(most);
        for _ in 0..LATE_MAX {
            desk.look(&mut said).await?;
            if self.spent(said.others).saturating_add(most) > cap {
                return Err(Error::Spent);
            }
            if desk.say(&mut said, own).await? {
                return Ok(());
            }
        }
        Err(Error::Away("other executions of this attempt are always faster".to_owned()))
    }

    /// Says anew what this execution spent, now that a call's price is known. Where that fails, the
    /// call counts at its most for others.
    pub(crate) fn settled(&self) {
        if self.cap.is_none() {
            return;
        }
        let this = self.clone();
        // Outside the runtime nobody is left to be told.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let Some(desk) = &this.desk else { return };
            let mut said = desk.said.lock().await;
            for _ in 0..LATE_MAX {
                let own = this.ledger.paid_microusd(this.execution);
                let told = match desk.look(&mut said).await {
                    Ok(()) => desk.say(&mut said, own).await,
                    Err(error) => Err(error),
                };
                match told {
                    Ok(false) => {}
                    Ok(true) => return,
                    Err(error) => return tracing::debug!(%error, "a price was not told"),
                }
            }
        });
    }

    /// What tells the shard's owner of a call, where there is one.
    pub(crate) fn news(&self, ordinal: Option<u32>, call: ModelCall) -> Option<News> {
        self.desk.clone().map(|desk| News { desk, ordinal, call })
    }

    /// What the attempt has spent. Answers that were found are among what others have spent.
    fn spent(&self, others: u64) -> u64 {
        let own = self.ledger.paid_microusd(self.execution);
        let found = self.ledger.spent_microusd().saturating_sub(own);
        own.saturating_add(others.max(found))
    }
}

impl Desk {
    async fn known(&self) -> Result<u64, Error> {
        let mut said = self.said.lock().await;
        self.look(&mut said).await?;
        Ok(said.others)
    }

    fn word(&self) -> Subject {
        let Task { run, step, token, ref pool, .. } = *self.task;
        subject::spend(pool, run, step, token)
    }

    /// Reads the last word, where it is not known.
    async fn look(&self, said: &mut Said) -> Result<(), Error> {
        if said.is_known {
            return Ok(());
        }
        let word = latest::read(&self.connection, &spend_stream(), &self.word()).await;
        let word = word.map_err(|error| Error::Away(error.to_string()))?;
        let (number, spent) = match word {
            None => (0, Spent::default()),
            Some(word) => {
                let spent = codec::decode(&word.bytes);
                (word.number, spent.map_err(|error| Error::Away(error.to_string()))?)
            }
        };
        let others = spent.microusd.saturating_sub(said.own);
        *said = Said { is_known: true, number, others, ..*said };
        Ok(())
    }

    /// Says what all have spent; false where somebody else has said something meanwhile.
    async fn say(&self, said: &mut Said, own: u64) -> Result<bool, Error> {
        let spent = Spent { microusd: said.others.saturating_add(own) };
        let bytes = codec::encode(&spent).map_err(|error| Error::Away(error.to_string()))?;
        let word = self.word();
        let former = said.own;
        // Until it is confirmed nobody knows what is stored. What may be less is taken for others' then.
        (said.is_known, said.own) = (false, former.min(own));
        match latest::replace(&self.connection, word, said.number, bytes.into()).await {
            Ok(number) => {
                *said = Said { is_known: true, number, own, ..*said };
                Ok(true)
            }
            Err(latest::Error::Late) => {
                said.own = former;
                Ok(false)
            }
            Err(error) => Err(Error::Away(error.to_string())),
        }
    }

    /// Tells the shard's owner of a call.
    pub(crate) async fn tell(&self, ordinal: Option<u32>, call: &ModelCall) -> Result<(), Error> {
        // A report names no more calls than that either.
        let Some(ordinal) = ordinal else { return Ok(()) };
        let Task { run, step, token, ref pool, shard, .. } = *self.task;
        let (execution, pool, call) = (self.execution, pool.clone(), call.clone());
        let to = subject::inbox_call(shard, &pool, run);
        let begun = CallBegun { run, step, token, execution, pool, ordinal, call };
        let message = InboxMessage::CallBegun(Box::new(begun));
        let bytes = codec::encode(&message).map_err(|error| Error::Away(error.to_string()))?;
        match self.publisher.publish(to, bytes.into()).await {
            told if told.is_there() => Ok(()),
            told => Err(Error::Away(format!("{told:?}"))),
        }
    }
}
