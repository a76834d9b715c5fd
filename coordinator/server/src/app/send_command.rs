//! Sends a command to its run's shard and waits for what becomes of it.

use std::time::Duration;

use maestro_schemas::command::{Command, CommandAnswer};
use maestro_schemas::id::CommandId;
use maestro_streams::publish::PublishResult;
use tokio::time::{Instant, sleep_until};

use super::{App, Error};
use crate::store::audit;

/// How long the answer is waited for before the asker is told that it is not known yet.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a bus that is not there is tried: it may be starting.
const SEND_TIME_MAX: Duration = Duration::from_secs(2);

/// The pause between two tries.
const SEND_PAUSE: Duration = Duration::from_millis(50);

/// The first pause before the audit row is looked for, in case the answer itself was lost; doubled
/// each time.
const FIRST_LOOK: Duration = Duration::from_millis(100);

impl App {
    /// What became of the command, or nothing where that is not known in [`ANSWER_TIME_MAX`]. A
    /// command that was answered before is not sent again.
    pub async fn send_command(
        &self,
        shard: u16,
        mut command: Command,
    ) -> Result<Option<CommandAnswer>, Error> {
        let until = Instant::now() + ANSWER_TIME_MAX;
        let id = command.id;
        let mut awaited = self.bus.expect(id);
        command.answer_to = Some(self.bus.answer_to());
        self.put_into_inbox(shard, command).await?;
        let mut pause = FIRST_LOOK;
        // Whoever asks with the same command next is told in this one's place; then the row tells.
        let mut is_told = true;
        loop {
            let look = (Instant::now() + pause).min(until);
            tokio::select! {
                answer = &mut awaited.answer, if is_told => match answer {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(_) => is_told = false,
                },
                () = sleep_until(look) => pause *= 2,
            }
            let answer = self.recorded(id).await?;
            if answer.is_some() || Instant::now() >= until {
                return Ok(answer);
            }
        }
    }

    async fn put_into_inbox(&self, shard: u16, command: Command) -> Result<(), Error> {
        let until = Instant::now() + SEND_TIME_MAX;
        loop {
            let result = self.bus.send(shard, command.clone()).await;
            let may_pass = matches!(result, PublishResult::NoStream | PublishResult::Disconnected);
            if !may_pass || Instant::now() >= until {
                return is_sent(&result);
            }
            tokio::time::sleep(SEND_PAUSE).await;
        }
    }

    /// What became of a command, as its audit row says.
    pub async fn recorded(&self, command: CommandId) -> Result<Option<CommandAnswer>, Error> {
        Ok(audit::answer(&self.pool, command).await?)
    }
}

/// Where nobody knows whether the bus has it, waiting goes on: it may have been stored.
fn is_sent(result: &PublishResult) -> Result<(), Error> {
    match result {
        PublishResult::Accepted | PublishResult::AlreadyThere | PublishResult::TimedOut => Ok(()),
        PublishResult::Full => {
            Err(Error::Unavailable("the shard's inbox is full; try again later"))
        }
        other => {
            tracing::warn!(result = ?other, "a command could not be sent");
            Err(Error::Unavailable("the bus does not take commands now; try again later"))
        }
    }
}
