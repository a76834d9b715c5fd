//! The messages of a call: written in the step, or a prompt rendered with the step's files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use maestro_kit::action::Execution;
use maestro_kit::evidence::store::{self, ArtifactStore};
use maestro_kit::evidence::tree::{self, Limits};
use maestro_prompts::{Files, Prompt, Rendered, path, render};
use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Workspace;
use maestro_schemas::route::PromptRef;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::parameters::Generate;

/// The most bytes of a file that a template puts in.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most bytes of a prompt's file.
const PROMPT_BYTES_MAX: u64 = 256 << 10;

/// What a model is asked, and which prompt it came from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Messages {
    /// As OpenAI's protocol has them.
    pub(crate) list: Vec<Value>,
    /// The prompt's name and the digest of its text, where there is one.
    pub(crate) prompt: Option<PromptRef>,
}

/// The messages of `litellm.generate`.
pub(crate) async fn messages(asked: &Generate, execution: &Execution) -> Result<Messages, Error> {
    match (&asked.prompt_template, &asked.prompt) {
        (Some(name), None) => from_template(name, asked, execution).await,
        (None, Some(text)) => {
            Ok(Messages { list: list(asked.system.as_deref(), text), prompt: None })
        }
        _ => Err(Error::Parameters("expected one of prompt_template and prompt".to_owned())),
    }
}

fn list(system: Option<&str>, user: &str) -> Vec<Value> {
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    system.map(|text| message("system", text)).into_iter().chain([message("user", user)]).collect()
}

async fn from_template(
    name: &str,
    asked: &Generate,
    execution: &Execution,
) -> Result<Messages, Error> {
    if asked.system.is_some() {
        let message = "a prompt brings its own system message; leave `system` out";
        return Err(Error::Parameters(message.to_owned()));
    }
    let wrong = |problem: String| Error::Prompt { name: name.to_owned(), problem };
    let files = Arc::new(StepFiles::open(execution).await?);
    let path = path(name).ok_or_else(|| {
        Error::Parameters(format!(
            "{name:?} is no prompt's name: lower-case letters, digits, _ and -"
        ))
    })?;
    let text = files.read(&path, PROMPT_BYTES_MAX).await.map_err(|why| files.blame(why, &wrong))?;
    let prompt = Prompt::parse(&text).map_err(|fault| wrong(fault.to_string()))?;
    let digest = prompt.digest;
    let rendered = rendered(prompt, asked.variables.clone(), files.clone()).await?;
    let Rendered { system, user } =
        rendered.map_err(|fault| files.blame(fault.to_string(), &wrong))?;
    let prompt = PromptRef { name: name.to_owned(), digest };
    Ok(Messages { list: list(system.as_deref(), &user), prompt: Some(prompt) })
}

/// Renders where a template may wait for a file.
async fn rendered(
    prompt: Prompt,
    variables: Map<String, Value>,
    files: Arc<StepFiles>,
) -> Result<Result<Rendered, maestro_prompts::Fault>, Error> {
    spawn_blocking(move || render(&prompt, &variables, files))
        .await
        .map_err(|_| Error::ShuttingDown)
}

/// The files that the step sees, read from object storage when they are asked for.
struct StepFiles {
    store: ArtifactStore,
    files: BTreeMap<String, Digest>,
    handle: Handle,
    /// What storage failed with: that is no fault of the prompt's.
    failed: Mutex<Option<store::Error>>,
}

impl StepFiles {
    async fn open(execution: &Execution) -> Result<Self, Error> {
        let store = execution.store.clone();
        let files = match &execution.task.workspace {
            Workspace::Tree { digest } => {
                let lost = |error| Error::Tree { whole: *digest, source: Box::new(error) };
                named(tree::get(&store, *digest, Limits::default()).await.map_err(lost)?)
            }
            Workspace::Empty | Workspace::Git { .. } => BTreeMap::new(),
        };
        Ok(Self { store, files, handle: Handle::current(), failed: Mutex::default() })
    }

    async fn read(&self, path: &str, bytes_max: u64) -> Result<String, String> {
        let digest = self.files.get(path).ok_or_else(|| self.no_such(path))?;
        let bytes = match self.store.get(*digest, bytes_max).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = format!("{path}: {error}");
                if !matches!(error, store::Error::TooLarge { .. }) {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                return Err(why);
            }
        };
        String::from_utf8(bytes.into()).map_err(|_| format!("{path} is no text in UTF-8"))
    }

    /// The error of a prompt that could not be used: storage's, where that failed.
    fn blame(&self, why: String, wrong: &impl Fn(String) -> Error) -> Error {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Error::store("cannot read the step's files")(error),
            None => wrong(why),
        }
    }

    fn no_such(&self, path: &str) -> String {
        let count = self.files.len();
        format!("there is no file {path} among the {count} that the step sees")
    }
}

impl Files for StepFiles {
    fn text(&self, path: &str) -> Result<String, String> {
        self.handle.block_on(self.read(path, FILE_BYTES_MAX))
    }
}

fn named(tree: Tree) -> BTreeMap<String, Digest> {
    let file = |entry: maestro_schemas::artifact::TreeEntry| match entry.kind {
        TreeEntryKind::File { digest, .. } => Some((entry.path, digest)),
        TreeEntryKind::Link { .. } => None,
    };
    tree.entries.into_iter().filter_map(file).collect()
}
