//! A call in the books: at the most it may cost before it is made, at what it did afterwards.

use maestro_kit::ledger::Entry;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{DecisionId, ExecutionId};
use maestro_schemas::report::{CALLS_MAX, ModelCall};
use serde_json::Value;

use crate::answer::Answer;
use crate::error::Error;
use crate::overhead::Times;
use crate::price::{Price, microusd};

/// Statuses after which a provider may have done the work: its own faults and timeouts on the way.
const MAY_HAVE_RUN: [u16; 4] = [408, 500, 502, 504];

/// A call that is about to be made.
pub(crate) struct Made<'a> {
    /// The model, as it is asked for.
    pub(crate) model: String,
    /// The prompt that it came from.
    pub(crate) prompt: Option<Digest>,
    /// The request.
    pub(crate) body: &'a Value,
    /// The most that it may cost, in millionths of a dollar.
    pub(crate) most: u64,
    /// The router's decision that it follows.
    pub(crate) decision: Option<DecisionId>,
    /// Whether the gateway answers by itself.
    pub(crate) offline: bool,
}

impl Made<'_> {
    /// As it stands in the books.
    pub(crate) fn entered(self) -> ModelCall {
        let Self { model, prompt, body, most, decision, offline } = self;
        ModelCall {
            prompt,
            offline,
            decision,
            ..ModelCall::begun(model, Digest::of_json(body), most)
        }
    }
}

/// A call under way. Dropped without a word, it stays at the most that it may cost.
pub(crate) struct Spending {
    entry: Entry,
    execution: ExecutionId,
}

impl Spending {
    /// The call is made now.
    pub(crate) fn of(entry: Entry, execution: ExecutionId) -> Self {
        Self { entry: entry.made(), execution }
    }

    /// The call ended: as it is in the books, with whose it is, where there is an answer.
    pub(crate) fn done(
        self,
        ended: Result<Answer, Error>,
        price: Price,
        times: Times,
    ) -> Result<(Answer, ModelCall), Error> {
        match ended {
            Ok(answer) => {
                let paid = self.answered(&answer, price, times);
                Ok((answer, paid))
            }
            Err(error) => {
                self.failed(&error, times);
                Err(error)
            }
        }
    }

    /// The model answered: what the gateway reports counts, else what its prices say.
    pub(crate) fn answered(self, answer: &Answer, price: Price, times: Times) -> ModelCall {
        let told = self.told(answer, times);
        let counted =
            answer.is_counted.then(|| price.of(answer.input_tokens, answer.output_tokens));
        // A gateway reports 0 also where it knows no price and nothing was counted.
        let reported = answer.reported_cost.map(microusd).filter(|cost| *cost > 0);
        let cost = reported.or(counted.flatten());
        let settled = cost.is_some() || told.offline;
        let most = self.entry.call().cost_microusd;
        let cost_microusd = if told.offline { 0 } else { cost.unwrap_or(most) };
        let call = ModelCall { cost_microusd, settled, ..told };
        let place = self.entry.ordinal().unwrap_or(CALLS_MAX as u32);
        self.entry.settle(call.clone());
        ModelCall { payer: Some((self.execution, place)), ..call }
    }

    /// The call failed: for nothing where nobody took it, in full where it may have been carried out.
    pub(crate) fn failed(self, error: &Error, times: Times) {
        let free = match error {
            Error::Refused { status, .. } => !MAY_HAVE_RUN.contains(status),
            error => matches!(error, Error::Connection { .. }),
        };
        let call = self.entry.call().clone();
        let cost_microusd = if free || call.offline { 0 } else { call.cost_microusd };
        let wall_ms = times.wall_ms();
        let overhead_us = Some(times.overhead_us());
        self.entry.settle(ModelCall { cost_microusd, settled: free, wall_ms, overhead_us, ..call });
    }

    fn told(&self, answer: &Answer, times: Times) -> ModelCall {
        ModelCall {
            served_by: answer.served_by.clone(),
            deployment: answer.deployment.clone(),
            input_tokens: answer.input_tokens,
            output_tokens: answer.output_tokens,
            settled: true,
            wall_ms: times.wall_ms(),
            overhead_us: Some(times.overhead_us()),
            ..self.entry.call().clone()
        }
    }
}
