//! Asks for a run to end early.

use maestro_schemas::command::{Command, CommandAnswer, CommandKind};
use maestro_schemas::id::{CommandId, RunId};

use super::{App, Asker, Error};
use crate::store::run;

/// The longest reason that is kept, in bytes.
pub const REASON_MAX: usize = 1_024;

impl App {
    /// Whether the cancellation is committed; false where that is not known yet.
    pub async fn cancel_run(&self, asker: &Asker, run: RunId, reason: &str) -> Result<bool, Error> {
        super::check_text("reason", reason)?;
        let head = run::head(&self.pool, &asker.project, run).await?;
        let head = head.ok_or_else(|| Error::not_found("run", run))?;
        let command = Command {
            id: CommandId::generate(),
            run,
            project: asker.project.clone(),
            actor: asker.actor.clone(),
            answer_to: None,
            ask: CommandKind::Cancel { reason: fitting(reason) },
        };
        match self.send_command(head.shard, command).await? {
            Some(CommandAnswer::Refused { code, message }) => Err(Error::Refused { code, message }),
            answer => Ok(answer.is_some()),
        }
    }
}

/// Cut to [`REASON_MAX`] at a letter's end.
fn fitting(reason: &str) -> String {
    let mut text = reason.to_owned();
    text.truncate(text.floor_char_boundary(REASON_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_at_a_letters_end() {
        assert_eq!(fitting("ab"), "ab");
        assert_eq!(fitting(&"ü".repeat(600)).len(), REASON_MAX);
        assert_eq!(fitting(&"€".repeat(600)).len(), 1_023);
    }
}
