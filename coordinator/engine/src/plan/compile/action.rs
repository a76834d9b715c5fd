//! The action that a step runs: from the catalogue, or what its name says while nobody serves it.

use maestro_schemas::action::ActionInfo;
use maestro_schemas::api::plans::Catalogue;
use maestro_schemas::name::PoolName;

use crate::pipeline::{Code, Fault, Position};

/// The pools of actions that nobody has announced, by the first word of their names.
const FAMILIES: [(&str, &str); 11] = [
    ("litellm", "llm"),
    ("ollama", "llm"),
    ("llm", "llm"),
    ("scrape", "scrape"),
    ("api", "scrape"),
    ("build", "build"),
    ("test", "build"),
    ("shell", "build"),
    ("container", "build"),
    ("eval", "eval"),
    ("serve", "serve-control"),
];

/// The pool whose steps begin with the files beside the pipeline.
pub const BUILD_POOL: &str = "build";
/// The pool whose steps see those files where they name a prompt, which is one of them.
pub const LLM_POOL: &str = "llm";
/// The parameter that names a prompt.
pub const PROMPT_KEY: &str = "prompt_template";

/// Checks that `run` is words with dots between them.
fn check_name(run: &str, at: Position) -> Result<(), Fault> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    if run.len() <= 200 && run.split('.').all(is_word) {
        return Ok(());
    }
    let fault = Fault::new(Code::InvalidValue, at, "this is no action's name")
        .found(run)
        .expected("words with dots between them, as build.typescript");
    Err(if run.contains(' ') {
        fault.hint("a command is written run: shell, with: {script: …}")
    } else {
        fault
    })
}

/// The catalogue's entry for `run`: the one of this very name before one with `*`.
pub fn announced<'a>(catalogue: &'a Catalogue, run: &str) -> Option<&'a ActionInfo> {
    let actions = || catalogue.actions.values();
    actions()
        .find(|action| action.name == run)
        .or_else(|| actions().find(|action| action.serves(run)))
}

/// The pool that serves the action `run`: the one that announced it, or while nobody has, the one
/// that its first word stands for.
pub fn pool(run: &str, info: Option<&ActionInfo>, at: Position) -> Result<PoolName, Fault> {
    check_name(run, at)?;
    if let Some(info) = info {
        return Ok(info.pool.clone());
    }
    let family = run.split('.').next().unwrap_or(run);
    let pool = FAMILIES.iter().find(|(word, _)| *word == family).map_or(family, |(_, pool)| *pool);
    pool.to_ascii_lowercase().parse().map_err(|_| {
        Fault::new(Code::InvalidValue, at, "the action's first word names no pool").found(pool)
    })
}
