//! One question to chat models: of the model that the router names, or of the next where that one fails.
//!
//! A question is got ready (who is asked, at which price, written down) and then put. What must stay true:
//! nothing is put that is not written down.

use maestro_schemas::report::ModelCall;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::attempt::Attempt;
use crate::cap::{Begun, Planned};
use crate::direct::Way;
use crate::error::Error;
use crate::overhead::Times;
use crate::price::Price;
use crate::request::{Call, memory_key};
use crate::route::{Route, TRIES_MAX};
use crate::telling::Counted;

/// Where a question goes, and all that it takes to put it, unless that is not to be had.
struct Ready<'a> {
    route: Route,
    counted: Counted,
    question: Result<Question<'a>, Error>,
}

/// A question that is written down.
struct Question<'a> {
    way: Way<'a>,
    price: Price,
    begun: Begun,
}

impl Attempt<'_> {
    /// An answer, unless it was paid for already.
    pub(crate) async fn ask(&self, call: &Call, ordinal: u32) -> Result<Answer, Error> {
        let taken = Instant::now();
        let answer = self.ask_models(call, ordinal).await?;
        self.overhead.took(taken);
        Ok(answer)
    }

    async fn ask_models(&self, call: &Call, ordinal: u32) -> Result<Answer, Error> {
        let mut taken = Instant::now();
        let key = memory_key(&self.execution.task, ordinal, &call.body());
        let may_be_known = self.execution.delivered > 1;
        if may_be_known && let Some(answer) = self.recalled(key).await {
            return Ok(answer);
        }
        // A task that comes for the first time was seldom carried out before, so nothing waits for that.
        let looking = async { if may_be_known { None } else { self.recalled(key).await } };
        let (former, mut ready) = tokio::join!(looking, self.ready(call, &[]));
        if let Some(answer) = former {
            ready.into_iter().for_each(Ready::drop_unasked);
            return Ok(answer);
        }
        let mut tried = Vec::new();
        loop {
            let Ready { route, counted, question } = ready?;
            let is_fallback = !tried.is_empty();
            let put = match question {
                Ok(question) => self.put((&route, counted), question, (taken, is_fallback)).await,
                Err(error) => Err(error),
            };
            let error = match put {
                Ok(paid) => return Ok(self.remembered(key, paid)),
                Err(error) => error,
            };
            match route.gives_way(&error) {
                Some(deployment) if tried.len() + 1 < TRIES_MAX => {
                    tried.push(deployment.to_owned());
                    let line = format!("\n[superseded: {error}; the next model is asked]");
                    self.execution.log.line(&line).await;
                    taken = Instant::now();
                    ready = self.ready(call, &tried).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Gets a question ready for the model that the router names, where these were tried.
    async fn ready(&self, call: &Call, tried: &[String]) -> Result<Ready<'_>, Error> {
        let cap_left = self.cap_left().await?;
        let (route, counted) = Route::find_counted(self.execution, call, (cap_left, tried)).await?;
        route.vouches(call)?;
        let question = self.question(call, &route).await;
        Ok(Ready { route, counted, question })
    }

    async fn question(&self, call: &Call, route: &Route) -> Result<Question<'_>, Error> {
        let way = self.way(route).await?;
        let call = Call { model: way.model(route), ..call.clone() };
        let price = self.known(way.price(self, &route.model).await)?;
        let planned = Planned {
            call,
            price,
            body: &Call::body,
            model: route.model.clone(),
            decision: route.decision(),
            offline: way.is_offline(),
        };
        let begun = self.begin(planned).await?;
        Ok(Question { way, price, begun })
    }

    /// Puts it, and settles what it cost.
    async fn put(
        &self,
        (route, counted): (&Route, Counted),
        Question { way, price, begun }: Question<'_>,
        (taken, is_fallback): (Instant, bool),
    ) -> Result<(Answer, ModelCall), Error> {
        let Begun { body, spending } = begun;
        let name = self.name(&spending);
        let sent = Instant::now();
        let ended = way.chat((&route.model, name.as_deref()), &body, &self.execution.log).await;
        let times = Times::ending_now(taken, sent);
        self.overhead.waited(times);
        // In the books before anybody hears of it: this may be stopped at any time.
        let done = spending.done(ended, price, times);
        let told = done.as_ref().map(|(answer, paid)| (answer, paid));
        if route.tell(self.execution, told, (times.elapsed(), is_fallback)).await {
            counted.told();
        }
        done
    }
}

impl Ready<'_> {
    /// It is not put: the answer was had already.
    fn drop_unasked(self) {
        if let Ok(question) = self.question {
            question.begun.spending.unmade();
        }
    }
}
