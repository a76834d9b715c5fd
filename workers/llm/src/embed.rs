//! Vectors of texts.

use std::future::ready;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::DecisionId;
use maestro_schemas::outcome::{Outcome, Outputs};
use maestro_schemas::report::ModelCall;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::{Answer, name};
use crate::attempt::{Attempt, keep};
use crate::call::Caller;
use crate::cap::fits;
use crate::error::Error;
use crate::overhead::Times;
use crate::parameters::{Embed, Sampling};
use crate::price::{self, Price};
use crate::request::{Call, memory_key};
use crate::route::Route;
use crate::settle::{self, Spending};

/// The role of vectors.
const VECTORS_ROLE: &str = "vectors";

/// Vectors that were made, and what they took.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    answered: Answer,
    count: usize,
    dimensions: usize,
    artifact: Artifact,
}

impl Attempt<'_> {
    /// Makes vectors, unless they were paid for already.
    pub(crate) async fn embed(&self, asked: Embed) -> Result<Outcome, Error> {
        let key = memory_key(&self.execution.task, 0, &body(&asked.model, &asked));
        let taken = Instant::now();
        let (former, permitted) = tokio::join!(self.found::<Made>(key), self.permitted(&asked));
        let made = match former {
            Some(made) => made,
            None => self.remembered(key, self.make(&asked, permitted?, taken).await?, ready(())),
        };
        let model = made.answered.served_by.unwrap_or(asked.model);
        let outputs = Outputs::from([
            ("model".to_owned(), json!(model)),
            ("vectors".to_owned(), json!(made.count)),
            ("dimensions".to_owned(), json!(made.dimensions)),
            ("input_tokens".to_owned(), json!(made.answered.input_tokens)),
            ("cost_usd".to_owned(), json!(self.execution.ledger.spent_microusd() as f64 / 1e6)),
            ("offline".to_owned(), json!(self.is_offline())),
        ]);
        Ok(Outcome::Succeeded { outputs, artifacts: vec![made.artifact] })
    }

    /// The one call, and what it was settled as.
    async fn make(
        &self,
        asked: &Embed,
        (model, decision): (String, Option<DecisionId>),
        taken: Instant,
    ) -> Result<(Made, ModelCall), Error> {
        let caller = self.caller().await?;
        let price = self.shared.prices.of(&asked.model, &caller).await.unwrap_or_default();
        // No token is shorter than a byte.
        let most = price.of(json!(asked.input).to_string().len() as u64, 0).unwrap_or(0);
        self.check_cap(&asked.model, price, most).await?;
        let body = body(&model, asked);
        fits(&body)?;
        let offline = caller.endpoint.offline.is_some();
        let planned = settle::Made {
            model: model.clone(),
            prompt: None,
            body: &body,
            most,
            decision,
            offline,
        };
        let entry = self.execution.account.begin(planned.entered()).await?;
        let name = self.name(&entry);
        let spending = Spending::of(entry, self.execution.id);
        let started = Instant::now();
        let caller = Caller { name: name.as_deref(), ..caller };
        let ended = caller.post(&model, "/v1/embeddings", &body).await;
        let times = Times::ending_now(taken, started);
        let (answer, headers) = match ended {
            Ok(found) => found,
            Err(error) => {
                spending.failed(&error, times);
                return Err(error);
            }
        };
        let answered = embedded(&answer, &headers);
        let call = spending.answered(&answered, price, times);
        let count = asked.input.texts().len();
        let vectors = vectors(&model, &answer, count)?;
        let dimensions = vectors.first().map_or(0, Vec::len);
        let bytes = serde_json::to_vec(&vectors).unwrap_or_default();
        let artifact = keep(&self.execution.store, VECTORS_ROLE, "application/json", bytes).await?;
        Ok((Made { answered, count, dimensions, artifact }, call))
    }

    async fn check_cap(&self, model: &str, price: Price, most: u64) -> Result<(), Error> {
        let Some(left) = self.cap_left().await? else { return Ok(()) };
        if price.input_cost_per_token.is_some() && most <= left {
            return Ok(());
        }
        let message = format!(
            "a call of {model} may cost {}; {} is left of the step's budget",
            if price.input_cost_per_token.is_some() {
                price::usd(most)
            } else {
                "what is not known".to_owned()
            },
            price::usd(left)
        );
        Err(Error::Cap(message))
    }

    /// What the gateway is asked for, if the texts may go to this very model: vectors of another would be
    /// of no use.
    async fn permitted(&self, asked: &Embed) -> Result<(String, Option<DecisionId>), Error> {
        // There is no answer to be paid for.
        let sampling = Sampling {
            max_tokens: Some(0),
            downgrade: Some(false),
            tags: asked.tags.clone(),
            jurisdictions: asked.jurisdictions.clone(),
            ..Sampling::default()
        };
        let messages =
            asked.input.texts().iter().map(|text| json!({ "role": "user", "content": text }));
        let call = Call {
            model: asked.model.clone(),
            messages: messages.collect(),
            prompt: None,
            sampling,
            max_tokens: None,
        };
        let route = Route::find(self.execution, &call, (self.cap_left().await?, &[])).await?;
        route.vouches(&call)?;
        Ok((route.keeps_to(&asked.model)?.to_owned(), route.decision()))
    }
}

/// The request for vectors of a model.
fn body(model: &str, asked: &Embed) -> Value {
    let mut body = json!({ "model": model, "input": asked.input, "encoding_format": "float" });
    if let (Some(object), Some(dimensions)) = (body.as_object_mut(), asked.dimensions) {
        object.insert("dimensions".to_owned(), json!(dimensions));
    }
    body
}

fn embedded(answer: &Value, headers: &reqwest::header::HeaderMap) -> Answer {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    Answer {
        served_by: answer.get("model").and_then(Value::as_str).map(name),
        deployment: header("x-litellm-model-id").as_deref().map(name),
        input_tokens: answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).unwrap_or(0),
        is_counted: answer.pointer("/usage/prompt_tokens").is_some(),
        reported_cost: header("x-litellm-response-cost").and_then(|cost| cost.parse().ok()),
        ..Answer::default()
    }
}

/// The vectors in the order of the texts.
fn vectors(model: &str, answer: &Value, count: usize) -> Result<Vec<Vec<f64>>, Error> {
    let unreadable = |problem: String| Error::Unreadable { model: model.to_owned(), problem };
    let data = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let vector = |one: &Value| -> Option<Vec<f64>> {
        one.get("embedding")?.as_array()?.iter().map(Value::as_f64).collect()
    };
    let mut placed = Vec::with_capacity(data.len());
    for (place, one) in data.iter().enumerate() {
        let index = one.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
        let vector = vector(one)
            .ok_or_else(|| unreadable(format!("vector {index} is no list of numbers")))?;
        placed.push((index, vector));
    }
    if placed.len() != count {
        return Err(unreadable(format!("{} vectors for {count} texts", placed.len())));
    }
    placed.sort_by_key(|(index, _)| *index);
    Ok(placed.into_iter().map(|(_, vector)| vector).collect())
}
