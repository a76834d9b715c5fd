//! Takes what a gateway tells of calls whose worker could not say what they cost.

use maestro_schemas::api::cost::{SETTLEMENTS_MAX, Settlements};
use maestro_schemas::report::CALLS_MAX;

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::store::settlement;

/// The largest number that is believed.
const NUMBER_MAX: u64 = 1_000_000_000_000;

impl App {
    /// Keeps it; the ledger has it within seconds.
    pub async fn settle_calls(&self, asker: &Asker, told: Settlements) -> Result<(), Error> {
        let settlements = &told.settlements;
        if settlements.len() > SETTLEMENTS_MAX {
            let found = settlements.len();
            let problem = format!("found {found}; expected at most {SETTLEMENTS_MAX}");
            return Err(Error::invalid("settlements", problem));
        }
        let wrong = settlements.iter().position(|one| {
            let most = one.input_tokens.max(one.output_tokens).max(one.cost_microusd);
            most > NUMBER_MAX || one.ordinal as usize >= CALLS_MAX
        });
        if let Some(place) = wrong {
            let problem = format!(
                "entry {place}: expected an ordinal below {CALLS_MAX}, and numbers up to {NUMBER_MAX}"
            );
            return Err(Error::invalid("settlements", problem));
        }
        let mut transaction = self.begin().await?;
        settlement::keep(&mut *transaction, &asker.project, settlements).await?;
        let about = format!("{} calls", settlements.len());
        let done = Done::to("call.settle", about).asked(&told);
        act::keep(&mut transaction, asker, done).await?;
        act::end(transaction).await
    }
}
