//! Vectors of texts.

use maestro_schemas::id::DecisionId;
use maestro_schemas::outcome::{Outcome, Outputs};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::{Answer, name};
use crate::attempt::{Attempt, keep};
use crate::call::Caller;
use crate::cap::fits;
use crate::error::Error;
use crate::overhead::Times;
use crate::parameters::{Embed, Sampling, Texts};
use crate::price::{self, Price};
use crate::request::Call;
use crate::route::Route;
use crate::settle::{Made, Spending};

/// The role of vectors.
const VECTORS_ROLE: &str = "vectors";

impl Attempt<'_> {
    /// Makes vectors.
    pub(crate) async fn embed(&self, asked: Embed) -> Result<Outcome, Error> {
        let count = match &asked.input {
            Texts::One(_) => 1,
            Texts::Several(texts) => texts.len(),
        };
        let taken = Instant::now();
        let (place, decision) = self.permitted(&asked).await?;
        let Embed { model, input, dimensions, .. } = asked;
        let caller = self.caller().await?;
        let price = self.shared.prices.of(&model, &caller).await.unwrap_or_default();
        // No token is shorter than a byte.
        let most = price.of(json!(input).to_string().len() as u64, 0).unwrap_or(0);
        self.check_cap(&model, price, most).await?;
        let model = place;
        let mut body = json!({ "model": model, "input": input, "encoding_format": "float" });
        if let (Some(object), Some(dimensions)) = (body.as_object_mut(), dimensions) {
            object.insert("dimensions".to_owned(), json!(dimensions));
        }
        fits(&body)?;
        let made = Made { model: model.clone(), prompt: None, body: &body, most, decision };
        let is_offline = caller.endpoint.offline.is_some();
        let spending = Spending::begin(&self.execution.account, made, is_offline).await?;
        let started = Instant::now();
        let name = self.name(&spending);
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
        spending.answered(&answered, price, times);
        let vectors = vectors(&model, &answer, count)?;
        let dimensions = vectors.first().map_or(0, Vec::len);
        let bytes = serde_json::to_vec(&vectors).unwrap_or_default();
        let artifact = keep(&self.execution.store, VECTORS_ROLE, "application/json", bytes).await?;
        let outputs = Outputs::from([
            ("model".to_owned(), json!(answered.served_by.unwrap_or(model))),
            ("vectors".to_owned(), json!(count)),
            ("dimensions".to_owned(), json!(dimensions)),
            ("input_tokens".to_owned(), json!(answered.input_tokens)),
            ("cost_usd".to_owned(), json!(self.execution.ledger.spent_microusd() as f64 / 1e6)),
            ("offline".to_owned(), json!(is_offline)),
        ]);
        Ok(Outcome::Succeeded { outputs, artifacts: vec![artifact] })
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
        let texts = match &asked.input {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts.iter().collect(),
        };
        // There is no answer to be paid for.
        let sampling = Sampling {
            max_tokens: Some(0),
            downgrade: Some(false),
            tags: asked.tags.clone(),
            jurisdictions: asked.jurisdictions.clone(),
            ..Sampling::default()
        };
        let messages = texts.iter().map(|text| json!({ "role": "user", "content": text }));
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
