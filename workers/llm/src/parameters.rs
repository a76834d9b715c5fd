//! What a step may say in `with`.

use maestro_schemas::route::Hint;
use maestro_schemas::task::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::ollama::parameters as ollama;

/// How often an answer that does not fit its schema is asked for anew, where nothing is said.
const REPAIRS: u8 = 2;

/// Asks with a text or a prompt.
pub(crate) const GENERATE: &str = "litellm.generate";
/// Asks with messages.
pub(crate) const CHAT: &str = "litellm.chat";
/// Makes vectors.
pub(crate) const EMBED: &str = "litellm.embed";

/// Parameters of `litellm.generate`: a text, or a prompt with its variables.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct Generate {
    /// The model, as the gateway names it.
    pub(crate) model: String,
    /// The name of a prompt: the file `prompts/NAME.md` beside the pipeline. Either this or `prompt`.
    #[serde(default)]
    pub(crate) prompt_template: Option<String>,
    /// Values for the prompt's variables.
    #[serde(default)]
    pub(crate) variables: Map<String, Value>,
    /// What the model is asked. Either this or `prompt_template`.
    #[serde(default)]
    pub(crate) prompt: Option<String>,
    /// The system's message; not beside `prompt_template`, which brings its own.
    #[serde(default)]
    pub(crate) system: Option<String>,
    #[serde(skip)]
    pub(crate) sampling: Sampling,
}

/// Parameters of `litellm.chat`: messages as OpenAI's protocol has them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct Chat {
    /// The model, as the gateway names it.
    pub(crate) model: String,
    /// The messages, each with `role` and `content`.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) messages: Vec<Map<String, Value>>,
    #[serde(skip)]
    pub(crate) sampling: Sampling,
}

/// Parameters of `litellm.embed`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embed {
    /// The model, as the gateway names it.
    pub(crate) model: String,
    /// A text, or several.
    pub(crate) input: Texts,
    /// How many numbers a vector is to have, where the model lets one choose.
    #[serde(default)]
    pub(crate) dimensions: Option<u32>,
    /// What the texts are about that policies must know, as `pii`; what is found in them is added.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) tags: Vec<String>,
    /// The jurisdictions that the texts may be worked on in, as `eu`; anywhere where none is named.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) jurisdictions: Vec<String>,
}

/// A text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(#[schemars(length(min = 1, max = 2048))] Vec<String>),
}

impl Texts {
    /// All of them, in their order.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

/// How a model is to answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct Sampling {
    /// How much chance there is in the answer, from 0 to 2.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub(crate) temperature: Option<f64>,
    /// Only the likeliest words that together have this probability.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) top_p: Option<f64>,
    /// The most tokens of the answer.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(crate) max_tokens: Option<u32>,
    /// A number that makes equal calls answer alike, where the model has that.
    #[serde(default)]
    pub(crate) seed: Option<i64>,
    /// Texts at which the answer ends.
    #[serde(default)]
    pub(crate) stop: Vec<String>,
    /// The functions that the model may ask for, as OpenAI's protocol has them; what it asks for is
    /// the output `tool_calls`.
    #[serde(default)]
    pub(crate) tools: Vec<Map<String, Value>>,
    /// A JSON Schema that the answer must fit; it is then the output `json`.
    #[serde(default)]
    pub(crate) schema: Option<Value>,
    /// What the content is about that policies must know, as `pii`; what is found in the text is added.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) tags: Vec<String>,
    /// The jurisdictions that the content may be worked on in, as `eu`; anywhere where none is named.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) jurisdictions: Vec<String>,
    /// Whether the answer is a draft or what people get; the router weighs cost and quality by it.
    #[serde(default)]
    pub(crate) hint: Option<Hint>,
    /// Whether a cheaper model may answer where this one is too dear for the policies or for what is left
    /// of the budget; where nothing is said, it may.
    #[serde(default)]
    pub(crate) downgrade: Option<bool>,
    /// What the question is about, in the words of the evaluations.
    #[serde(default)]
    pub(crate) topic: Option<String>,
    /// What counts, as in the header `X-Maestro-Objectives`.
    #[serde(default)]
    pub(crate) objectives: Option<String>,
    /// How often an answer that does not fit the schema is asked for anew: 2 where nothing is said.
    #[serde(default)]
    #[schemars(range(min = 0, max = 5))]
    pub(crate) repairs: Option<u8>,
}

impl Sampling {
    /// How often an answer is asked for anew.
    pub(crate) fn repairs(&self) -> u8 {
        self.repairs.unwrap_or(REPAIRS).min(5)
    }
}

/// What a step asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// `litellm.generate`
    Generate(Generate),
    /// `litellm.chat`
    Chat(Chat),
    /// `litellm.embed`
    Embed(Embed),
    /// `ollama.generate`
    Ollama(Box<ollama::Generate>),
}

impl Asked {
    /// Reads a task's parameters.
    pub(crate) fn parse(task: &Task) -> Result<Self, Error> {
        let with: Value = serde_json::from_slice(&task.with).map_err(wrong)?;
        known_keys(&task.action, &with)?;
        let sampling: Sampling = serde_json::from_value(with.clone()).map_err(wrong)?;
        match task.action.as_str() {
            GENERATE => {
                let asked: Generate = serde_json::from_value(with).map_err(wrong)?;
                Ok(Self::Generate(Generate { sampling, ..asked }))
            }
            CHAT => {
                let asked: Chat = serde_json::from_value(with).map_err(wrong)?;
                Ok(Self::Chat(Chat { sampling, ..asked }))
            }
            ollama::GENERATE => {
                let asked: ollama::Generate = serde_json::from_value(with).map_err(wrong)?;
                Ok(Self::Ollama(Box::new(ollama::Generate { sampling, ..asked })))
            }
            EMBED => Ok(Self::Embed(serde_json::from_value(with).map_err(wrong)?)),
            other => Err(Error::Parameters(format!("this pool does not serve {other}"))),
        }
    }
}

fn wrong(error: serde_json::Error) -> Error {
    Error::Parameters(error.to_string())
}

/// A key that the action's schema does not name is a slip that would change what is asked.
fn known_keys(action: &str, with: &Value) -> Result<(), Error> {
    let schema = crate::catalogue::schema(action);
    let known = schema.get("properties").and_then(Value::as_object);
    let given = with.as_object().into_iter().flat_map(Map::keys);
    match known.and_then(|known| given.into_iter().find(|key| !known.contains_key(*key))) {
        Some(key) => Err(Error::Parameters(format!("{action} has no parameter {key:?}"))),
        None => Ok(()),
    }
}
