//! Which attempts' outputs are meant by a step's id, or by none.

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::step::{StepAddress, StepState};

use crate::client::Client;
use crate::client::logs::LogOf;
use crate::error::Error;

/// An output and the id of the step that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The step's id.
    pub id: String,
    /// The output.
    pub of: LogOf,
}

/// The last attempt of the step of this id.
pub async fn step(client: &Client, run: RunId, id: &str) -> Result<LogOf, Error> {
    let steps = client.steps(run).await?;
    let (base, item) = split(id);
    let found = steps.iter().find(|step| step.id == id).map(|step| step.address).or_else(|| {
        let fan_out = steps.iter().find(|step| step.id == base && step.items.is_some())?;
        Some(StepAddress { item: item?, ..fan_out.address })
    });
    let ids = steps.iter().map(|step| step.id.as_str());
    found.map(|step| LogOf { run, step, attempt: None }).ok_or_else(|| unknown(id, ids))
}

/// The last attempt of every step that has had one, in the order in which they ended; live ones last.
pub async fn all(client: &Client, run: RunId, failed: bool) -> Result<Vec<Named>, Error> {
    let attempts = client.attempts(run).await?;
    let mut last: BTreeMap<StepAddress, (usize, bool)> = BTreeMap::new();
    for (index, attempt) in attempts.iter().enumerate() {
        last.insert(attempt.address, (index, attempt.outcome == "failed"));
    }
    let mut order: Vec<usize> =
        last.values().filter(|(_, bad)| *bad || !failed).map(|(index, _)| *index).collect();
    order.sort_unstable();
    let ended = order.into_iter().filter_map(|index| attempts.get(index));
    let mut named: Vec<Named> = ended
        .map(|attempt| Named {
            id: attempt.step.clone(),
            of: LogOf { run, step: attempt.address, attempt: Some(attempt.number) },
        })
        .collect();
    if !failed {
        let live = client.steps(run).await?.into_iter();
        let live = live.filter(|step| step.state == StepState::Live && step.items.is_none());
        named.extend(live.map(|step| Named {
            id: step.id,
            of: LogOf { run, step: step.address, attempt: None },
        }));
    }
    Ok(named)
}

/// `test/shard[3]` as `test/shard` and 3.
fn split(id: &str) -> (&str, Option<u32>) {
    match id.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((base, item)) => (base, item.parse().ok()),
        None => (id, None),
    }
}

fn unknown<'a>(id: &str, ids: impl Iterator<Item = &'a str>) -> Error {
    let near = maestro_engine::pipeline::diagnostic::nearest(id, ids);
    Error::NotFound {
        what: format!("step {id:?}"),
        hint: Some(match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`maestro runs show RUN` lists the steps".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_named_by_its_number() {
        assert_eq!(split("test/shard[3]"), ("test/shard", Some(3)));
        assert_eq!(split("test/unit"), ("test/unit", None));
        assert_eq!(split("test/unit[x]"), ("test/unit", None));
    }

    #[test]
    fn a_step_that_is_not_there_is_answered_with_one_that_is() {
        let error = unknown("test/unti", ["build/rust", "test/unit"].into_iter());
        assert_eq!(error.hint().as_deref(), Some("did you mean \"test/unit\"?"));
    }
}
