//! Takes what a gateway tells of calls whose worker could not say what they cost.

use maestro_schemas::api::cost::{SETTLEMENTS_MAX, Settlements};
use maestro_schemas::name::ProjectName;
use maestro_schemas::report::CALLS_MAX;

use super::{App, Error};
use crate::store::settlement;

/// The largest number that is believed.
const NUMBER_MAX: u64 = 1_000_000_000_000;

impl App {
    /// Keeps it; the ledger has it within seconds.
    pub async fn settle_calls(
        &self,
        project: &ProjectName,
        Settlements { settlements }: Settlements,
    ) -> Result<(), Error> {
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
        Ok(settlement::keep(&self.pool, project, &settlements).await?)
    }
}
