//! One question to chat models: of the model that the router names, or of the next where that one fails.
//!
//! A question is got ready (who is asked, at which price, written down) and then put. That a call is about to
//! be made is written down while the router is asked which it will be, where nothing depends on its price.
//! What must stay true: nothing is put that is not written down.

use std::pin::pin;

use maestro_kit::announced::{Announced, News};
use maestro_schemas::report::ModelCall;
use serde_json::Value;
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
use crate::settle::Spending;
use crate::telling::{Counted, Word};

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
        let body = call.body();
        let key = memory_key(&self.execution.task, ordinal, &body);
        let may_be_known = self.execution.delivered > 1;
        if may_be_known && let Some(answer) = self.recalled(key).await {
            return Ok(answer);
        }
        // A task that comes for the first time was seldom carried out before, so nothing waits for that.
        let looking = async { if may_be_known { None } else { self.recalled(key).await } };
        let (mut ready, former) = tokio::join!(self.ready(call, &body, &[]), looking);
        if let Some(answer) = former {
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
                Ok((paid, word)) => return Ok(self.remembered(key, paid, word.tell())),
                Err(error) => error,
            };
            match route.gives_way(&error) {
                Some(deployment) if tried.len() + 1 < TRIES_MAX => {
                    tried.push(deployment.to_owned());
                    let line = format!("\n[superseded: {error}; the next model is asked]");
                    self.execution.log.line(&line).await;
                    taken = Instant::now();
                    ready = self.ready(call, &body, &tried).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// Gets a question ready for the model that the router names, where these were tried; `body` is what the
    /// step's own would be asked with.
    async fn ready(&self, call: &Call, body: &Value, tried: &[String]) -> Result<Ready<'_>, Error> {
        let cap_left = self.cap_left().await?;
        let finding = Route::find_counted(self.execution, call, (cap_left, tried));
        let (announced, found) = tokio::join!(self.announce(call, body), finding);
        let (route, counted) = found?;
        route.vouches(call)?;
        let question = match announced {
            Ok(announced) => self.question(call, &route, announced).await,
            Err(error) => Err(error),
        };
        Ok(Ready { route, counted, question })
    }

    async fn question(
        &self,
        call: &Call,
        route: &Route,
        announced: Option<Announced>,
    ) -> Result<Question<'_>, Error> {
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
        let begun = self.begin(planned, announced).await?;
        Ok(Question { way, price, begun })
    }

    /// Puts it, and settles what it cost; answers with the answer what the router is to be told.
    async fn put(
        &self,
        (route, counted): (&Route, Counted),
        Question { way, price, begun }: Question<'_>,
        (taken, is_fallback): (Instant, bool),
    ) -> Result<((Answer, ModelCall), Word), Error> {
        let Begun { body, entry, news } = begun;
        let name = self.name(&entry);
        let spending = Spending::of(entry, self.execution.id);
        let sent = Instant::now();
        let calling = async {
            let called = (route.model.as_str(), name.as_deref());
            let ended = way.chat(called, &body, &self.execution.log).await;
            let times = Times::ending_now(taken, sent);
            self.overhead.waited(times);
            // In the books before anybody hears of it: this may be stopped at any time.
            (spending.done(ended, price, times), times)
        };
        let (done, times) = self.while_telling(news, calling).await;
        let told = done.as_ref().map(|(answer, paid)| (answer, paid));
        let word = route.word(counted, told, (times.elapsed(), is_fallback));
        match done {
            Ok(paid) => Ok((paid, word)),
            Err(error) => {
                // It is to know before it is asked about the same call again.
                word.tell().await;
                Err(error)
            }
        }
    }

    /// Makes a call and tells meanwhile what it is; what is not told by its end is told beside the rest.
    async fn while_telling<T>(&self, news: Option<News>, calling: impl Future<Output = T>) -> T {
        let Some(news) = news else { return calling.await };
        let mut telling = Box::pin(news.tell_beside());
        let mut calling = pin!(calling);
        tokio::select! {
            biased;
            called = &mut calling => {
                self.execution.beside.spawn(telling);
                called
            }
            () = &mut telling => calling.await,
        }
    }
}
