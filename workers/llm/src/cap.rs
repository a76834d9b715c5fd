//! A call cut to what is left of the attempt's cap, and written down before it is made.

use maestro_kit::account;
use maestro_kit::announced::{Announced, News};
use maestro_kit::ledger::Entry;
use maestro_schemas::id::DecisionId;
use serde_json::Value;

use crate::attempt::Attempt;
use crate::error::Error;
use crate::price::{self, Left, Price};
use crate::request::{BODY_BYTES_MAX, Call};
use crate::settle::Made;

/// How often a call is cut to what is left, while another execution of the attempt spends too.
const CUTS_MAX: usize = 4;

/// A call that is to be made.
pub(crate) struct Planned<'a> {
    /// What is asked, of the model as it is named there.
    pub(crate) call: Call,
    /// What it costs.
    pub(crate) price: Price,
    /// How the call is written for who is asked.
    pub(crate) body: &'a (dyn Fn(&Call) -> Value + Sync),
    /// The model, as the gateway or the step names it, for the books.
    pub(crate) model: String,
    /// The router's decision that it follows.
    pub(crate) decision: Option<DecisionId>,
    /// Whether the gateway answers by itself.
    pub(crate) offline: bool,
}

/// A call that is written down and not made yet.
pub(crate) struct Begun {
    pub(crate) body: Value,
    pub(crate) entry: Entry,
    /// What is to be told of it beside the call.
    pub(crate) news: Option<News>,
}

impl Attempt<'_> {
    /// What is left of the attempt's cap, where it has one.
    pub(crate) async fn cap_left(&self) -> Result<Option<u64>, Error> {
        Ok(self.execution.account.left().await?)
    }

    /// A price that has to be known only where there is a cap.
    pub(crate) fn known(&self, price: Result<Price, Error>) -> Result<Price, Error> {
        match self.execution.task.cap_microusd {
            None => Ok(price.unwrap_or_default()),
            Some(_) => price,
        }
    }

    /// Writes down that the step's own model is about to be asked, as far as is known yet; nothing where there
    /// is a cap, and what a call may cost has to be known first.
    pub(crate) async fn announce(
        &self,
        call: &Call,
        body: &Value,
    ) -> Result<Option<Announced>, Error> {
        if self.execution.task.cap_microusd.is_some() {
            return Ok(None);
        }
        let price = self.shared.prices.at_hand(&call.model).await;
        let made = Made {
            model: call.model.clone(),
            prompt: call.prompt.as_ref().map(|prompt| prompt.digest),
            body,
            most: most(call, price, price.answer_tokens(call.sampling.max_tokens)),
            decision: None,
            offline: self.endpoint.get().is_some_and(|endpoint| endpoint.offline.is_some()),
        };
        Ok(self.execution.account.announce(made.entered()).await?)
    }

    /// Writes a call down, or what an announced one is; again where another execution of the attempt has
    /// spent meanwhile what it was cut to.
    pub(crate) async fn begin(
        &self,
        planned: Planned<'_>,
        mut announced: Option<Announced>,
    ) -> Result<Begun, Error> {
        let Planned { model, decision, offline, .. } = &planned;
        let (decision, offline) = (*decision, *offline);
        let mut tries = 0;
        loop {
            tries += 1;
            let mut call = planned.call.clone();
            let most = self.cut(&mut call, planned.price).await?;
            let body = (planned.body)(&call);
            fits(&body)?;
            let prompt = call.prompt.as_ref().map(|prompt| prompt.digest);
            let made = Made { model: model.clone(), prompt, body: &body, most, decision, offline };
            if let Some(announced) = announced.take() {
                let (entry, news) = announced.becomes(made.entered()).await?;
                return Ok(Begun { body, entry, news });
            }
            match self.execution.account.begin(made.entered()).await {
                Ok(entry) => return Ok(Begun { body, entry, news: None }),
                Err(account::Error::Spent) if tries < CUTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the gateway calls a call of this execution by, when it tells what it cost.
    pub(crate) fn name(&self, entry: &Entry) -> Option<String> {
        let (project, execution) = (&self.execution.task.project, self.execution.id);
        entry.ordinal().map(|ordinal| format!("{project}/{execution}/{ordinal}"))
    }

    /// Lowers the call's tokens to what is left of the cap; answers the most that it may cost.
    async fn cut(&self, call: &mut Call, price: Price) -> Result<u64, Error> {
        let wanted = call.sampling.max_tokens;
        let Some(microusd) = self.cap_left().await? else {
            return Ok(most(call, price, price.answer_tokens(wanted)));
        };
        if price.is_free() {
            return Ok(0);
        }
        let tokens = price::fit(&call.model, price, Left { microusd }, size(call), wanted)?;
        call.max_tokens = Some(tokens);
        Ok(microusd.min(most(call, price, tokens.into())))
    }
}

/// The most that a call with so many tokens of an answer may cost, as far as its price is known.
fn most(call: &Call, price: Price, tokens: u64) -> u64 {
    price.of(price::tokens_max(size(call)), tokens).unwrap_or(0)
}

/// The bytes and messages that the model is given.
fn size(call: &Call) -> (u64, u64) {
    (call.input_bytes(), call.messages.len() as u64)
}

/// Refuses a request that is too large to be sent.
pub(crate) fn fits(body: &Value) -> Result<(), Error> {
    let bytes = body.to_string().len();
    if bytes <= BODY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the request has {bytes} bytes; the most is {BODY_BYTES_MAX}");
    Err(Error::Parameters(message))
}
