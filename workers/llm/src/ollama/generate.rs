//! One question: over the chain of models, and for each over the hosts that can serve it.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use maestro_schemas::outcome::FailureClass;
use maestro_schemas::report::ModelCall;
use serde_json::json;
use tokio::time::Instant;

use super::Host;
use super::choice::{Reason, Wanted};
use super::fleet::Seat;
use super::parameters::Wish;
use super::seen::full_name;
use super::talk::body;
use crate::answer::Answer;
use crate::attempt::Attempt;
use crate::call::Caller;
use crate::cap::{Begun, Planned};
use crate::error::Error;
use crate::gateway::Endpoint;
use crate::overhead::Times;
use crate::price::Price;
use crate::request::{Call, memory_key};
use crate::route::Route;
use crate::settle::Spending;

/// How long a host that failed is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// How long one is that has too much to do, where it does not say; and the most that is believed.
const PAUSE_BUSY: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// What a host's calls begin with in the ledger.
const PREFIX: &str = "ollama:";

/// What a failure means for the hosts.
enum After {
    /// The next host may do better; this one is left alone for so long.
    Next(Option<Duration>),
    /// The host has not got the model after all.
    Lacks,
    /// No host would.
    End,
}

impl Attempt<'_> {
    /// An answer, unless it was had already: of the first model of the chain that some host serves.
    pub(crate) async fn ask_ollama(
        &self,
        call: &Call,
        wish: &Wish,
        ordinal: u32,
    ) -> Result<Answer, Error> {
        let asked = json!({ "models": wish.models, "body": body(call, wish) });
        let key = memory_key(&self.execution.task, ordinal, &asked);
        if let Some(answer) = self.recalled(key).await {
            return Ok(answer);
        }
        let mut failed: Option<Error> = None;
        let mut tried = vec![BTreeSet::new(); wish.models.len()];
        // Hosts that failed lately are asked where neither another host nor another model is left.
        for is_last_resort in [false, true] {
            let mut left_alone = false;
            for (model, tried) in wish.models.iter().zip(&mut tried) {
                let call = Call { model: model.clone(), ..call.clone() };
                let with = (is_last_resort, tried, &mut left_alone);
                let error = match self.of_one_model(&call, wish, with).await {
                    Ok(paid) => return Ok(self.remembered(key, paid, ready(()))),
                    Err(error) => error,
                };
                self.execution.log.line(&format!("\n[{model}: {error}]")).await;
                let is_over = !gives_way(&error);
                // What may pass by itself is told before what will not.
                let former = failed
                    .take()
                    .filter(|one| one.is_passing() && !(is_over && error.is_passing()));
                failed = Some(former.unwrap_or(error));
                if is_over {
                    return Err(failed.unwrap_or(Error::Stopped));
                }
            }
            if !left_alone {
                break;
            }
        }
        Err(failed.unwrap_or(Error::Stopped))
    }

    /// An answer of one model, with its call: of the best host, or of the next where that one fails.
    async fn of_one_model(
        &self,
        call: &Call,
        wish: &Wish,
        (is_last_resort, tried, left_alone): (bool, &mut BTreeSet<usize>, &mut bool),
    ) -> Result<(Answer, ModelCall), Error> {
        let permit = self.permit(call).await?;
        let mut wanted = Wanted {
            model: full_name(&call.model),
            has_schema: call.sampling.schema.is_some(),
            permitted: call.sampling.jurisdictions.clone(),
            home: permit.home,
            tried: std::mem::take(tried),
            is_last_resort,
        };
        let started = Instant::now();
        let mut last = None;
        let ended = loop {
            let fleet = &self.shared.fleet;
            let seat = match fleet.seat(&wanted, &self.shared.clients).await {
                Ok(seat) => seat,
                Err(reasons) => {
                    *left_alone |= has_shunned(&reasons);
                    break Err(last.unwrap_or_else(|| nobody(&call.model, &reasons)));
                }
            };
            let error = match self.on_host(call, wish, (&seat, &permit.route)).await {
                Ok(paid) => break Ok(paid),
                Err(error) => error,
            };
            match after(&error) {
                After::End => break Err(error),
                After::Lacks => fleet.forget(&seat).await,
                After::Next(pause) => {
                    pause.inspect(|pause| fleet.shun(&seat, *pause, &error.to_string()));
                }
            }
            wanted.tried.insert(seat.chosen.place);
            let line = format!("\n[superseded: {error}; the next host is asked]");
            self.execution.log.line(&line).await;
            last = Some(error);
        };
        *tried = wanted.tried;
        let told = ended.as_ref().map(|(answer, paid)| (answer, paid));
        // What was waited for room and lost on others is no fault of who answered.
        let elapsed = ended
            .as_ref()
            .map_or_else(|_| started.elapsed(), |(_, paid)| Duration::from_millis(paid.wall_ms));
        permit.route.tell_of(&call.model, self.execution, told, elapsed).await;
        ended
    }

    /// One call of one host.
    async fn on_host(
        &self,
        call: &Call,
        wish: &Wish,
        (seat, route): (&Seat, &Route),
    ) -> Result<(Answer, ModelCall), Error> {
        let Some(host) = self.shared.fleet.host(seat) else { return Err(Error::ShuttingDown) };
        let (model, why) = (&call.model, seat.chosen.why);
        let taken = Instant::now();
        self.execution.log.line(&format!("[{} is asked for {model}: {why}]", host.name)).await;
        let price = price(host);
        let planned = Planned {
            call: call.clone(),
            price,
            body: &|call| body(call, wish),
            model: call.model.clone(),
            decision: route.decision(),
            offline: false,
        };
        let Begun { body, entry, .. } = self.begin(planned, None).await?;
        let spending = Spending::of(entry, self.execution.id);
        let started = Instant::now();
        let endpoint = Endpoint { url: host.url.clone(), key: host.key.clone(), offline: None };
        let client = self.shared.clients.of(&host.url);
        let caller = Caller { client, endpoint: &endpoint, name: None };
        let ended = caller.talk(&call.model, &body, &self.execution.log).await;
        let times = Times::ending_now(taken, started);
        let named =
            |answer| Answer { deployment: Some(format!("{PREFIX}{}", host.name)), ..answer };
        spending.done(ended.map(named), price, times)
    }
}

fn price(host: &Host) -> Price {
    let (input, output) = host.usd_per_token;
    Price {
        input_cost_per_token: Some(input),
        output_cost_per_token: Some(output),
        max_output_tokens: None,
    }
}

fn after(error: &Error) -> After {
    match error {
        Error::Refused { status: 404, .. } => After::Lacks,
        Error::Refused { status: 429 | 503, retry_after_ms, .. } => {
            let told = retry_after_ms.map(Duration::from_millis);
            After::Next(Some(told.unwrap_or(PAUSE_BUSY).min(PAUSE_MAX)))
        }
        Error::Refused { status: 401 | 403 | 408 | 500..=599, .. }
        | Error::Connection { .. }
        | Error::Cut { .. }
        | Error::Silent { .. } => After::Next(Some(PAUSE)),
        // Of one answer, or of this call's money: others may well be served.
        Error::Unreadable { .. } | Error::Cap(_) => After::Next(None),
        _ => After::End,
    }
}

/// Whether the next model of a chain may be asked after this failure.
fn gives_way(error: &Error) -> bool {
    matches!(error, Error::NoHost { .. } | Error::Routed { .. })
        || !matches!(after(error), After::End)
}

fn has_shunned(reasons: &[(String, Reason)]) -> bool {
    reasons.iter().any(|(_, reason)| matches!(reason, Reason::Shunned(_)))
}

fn nobody(model: &str, reasons: &[(String, Reason)]) -> Error {
    let each: Vec<String> = reasons.iter().map(|(host, why)| format!("{host}: {why}")).collect();
    let problem = if each.is_empty() {
        "this worker was started without any; name them with --ollama-hosts".to_owned()
    } else {
        each.join("; ")
    };
    let is_lasting =
        |reason: &Reason| matches!(reason, Reason::Lacks | Reason::Old(_) | Reason::Elsewhere(_));
    let all = |is: &dyn Fn(&Reason) -> bool| reasons.iter().all(|(_, reason)| is(reason));
    let class = match reasons {
        [] => FailureClass::Transient,
        _ if all(&|reason| matches!(reason, Reason::Elsewhere(_))) => FailureClass::Denied,
        _ if all(&is_lasting) => FailureClass::Permanent,
        _ => FailureClass::Transient,
    };
    Error::NoHost { model: model.to_owned(), problem, class }
}
