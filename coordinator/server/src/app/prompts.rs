//! Keeps prompts: takes new versions, shows and labels them.

use maestro_prompts::Prompt;
use maestro_schemas::api::prompts::{PromptPage, PromptPush, PromptPushed, PromptText};
use maestro_schemas::name::ProjectName;
use maestro_schemas::prompt::{self as names, LABEL_BYTES_MAX, LABELS_MAX};

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::store::prompt::{self, Named, New, Which};

/// The most prompts of a project.
pub const PROMPTS_MAX: u32 = 1_000;
/// The most versions of a prompt.
pub const VERSIONS_MAX: u32 = 10_000;
/// The longest description that lists show, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// The most versions of a page.
pub const PAGE_MAX: u16 = 200;
/// The versions of a page where nobody says how many.
pub const PAGE_DEFAULT: u16 = 50;

/// Which page of a list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The most versions.
    pub limit: Option<u16>,
    /// What the page before said.
    pub cursor: Option<String>,
}

/// A label of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The prompt's name.
    pub name: String,
    /// The version's number.
    pub version: u32,
    /// The label.
    pub label: String,
}

impl App {
    /// Makes a version of a text, unless the newest has it already.
    pub async fn push_prompt(
        &self,
        asker: &Asker,
        push: PromptPush,
    ) -> Result<PromptPushed, Error> {
        let PromptPush { name, text } = push;
        check_name(&name)?;
        let unfit = |message: String| Error::UnfitPrompt { name: name.clone(), message };
        if text.contains('\0') {
            return Err(unfit("found the character NUL, which no row holds".to_owned()));
        }
        let read = Prompt::parse(&text).map_err(|fault| unfit(fault.to_string()))?;
        let named = Named { project: &asker.project, name: &name };
        let mut transaction = self.begin().await?;
        let newest =
            prompt::lock(&mut transaction, named, PROMPTS_MAX).await?.ok_or_else(|| {
                Error::invalid("name", format!("the project has {PROMPTS_MAX} prompts, the most"))
            })?;
        let former = prompt::find(&mut *transaction, named, Which::Newest).await?;
        let is_new = former.is_none_or(|former| former.version.digest != read.digest);
        if is_new {
            if newest >= VERSIONS_MAX {
                let message = format!("{name} has {VERSIONS_MAX} versions, the most");
                return Err(Error::invalid("name", message));
            }
            let description = described(&read.head.description);
            let (digest, description) = (read.digest, description.as_str());
            let (version, actor) = (newest + 1, asker.actor.as_str());
            let new = New { version, digest, description, text: &text, actor };
            prompt::add(&mut transaction, named, new).await?;
            let done = Done::to("prompt.push", format!("{name}@{version}"));
            let done = Done { request: Some(digest), ..done };
            act::keep(&mut transaction, asker, done).await?;
        }
        let made = prompt::find(&mut *transaction, named, Which::Newest).await?;
        act::end(transaction).await?;
        self.routing.forget_prompts();
        let made = made.ok_or_else(|| Error::not_found("prompt", &name))?;
        Ok(PromptPushed { version: made.version, is_new })
    }

    /// The newest version of each prompt, by name.
    pub async fn list_prompts(
        &self,
        project: &ProjectName,
        query: Query,
    ) -> Result<PromptPage, Error> {
        let count = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let after = query.cursor.unwrap_or_default();
        if !after.is_empty() && names::path(&after).is_none() {
            return Err(Error::invalid("cursor", "expected what the page before gave as `next`"));
        }
        let mut versions = prompt::list(&self.pool, project, &after, count + 1).await?;
        let is_last = versions.len() <= usize::from(count);
        versions.truncate(usize::from(count));
        let next = versions.last().filter(|_| !is_last).map(|version| version.name.clone());
        Ok(PromptPage { versions, next })
    }

    /// The versions of a prompt, the newest first.
    pub async fn list_versions(&self, named: Named<'_>, query: Query) -> Result<PromptPage, Error> {
        check_name(named.name)?;
        let count = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let before = query.cursor.map(|text| text.parse::<u32>());
        let before = before.transpose().map_err(|_| {
            Error::invalid("cursor", "expected what the page before gave as `next`")
        })?;
        let before = before.unwrap_or(u32::MAX);
        let mut versions = prompt::versions(&self.pool, named, before, count + 1).await?;
        if versions.is_empty() && before == u32::MAX {
            return Err(Error::not_found("prompt", named.name));
        }
        let is_last = versions.len() <= usize::from(count);
        versions.truncate(usize::from(count));
        let next = versions.last().filter(|_| !is_last).map(|version| version.version.to_string());
        Ok(PromptPage { versions, next })
    }

    /// A version with its text. `which` is a number, `newest` or a digest.
    pub async fn show_prompt(&self, named: Named<'_>, which: &str) -> Result<PromptText, Error> {
        check_name(named.name)?;
        let found = prompt::find(&self.pool, named, read_which(which)?).await?;
        found.ok_or_else(|| Error::not_found("prompt", format!("{}@{which}", named.name)))
    }

    /// Gives a version a label, or takes it away.
    pub async fn label_prompt(
        &self,
        asker: &Asker,
        label: Label,
        holds: bool,
    ) -> Result<(), Error> {
        let Label { name, version, label } = label;
        check_name(&name)?;
        if !names::is_label(&label) {
            let message = format!(
                "expected 1 to {LABEL_BYTES_MAX} lower-case letters, digits, _ and -, as approved"
            );
            return Err(Error::invalid("label", message));
        }
        let named = Named { project: &asker.project, name: &name };
        self.show_prompt(named, &version.to_string()).await?;
        let about = format!("{name}@{version} {label}");
        let mut transaction = self.begin().await?;
        if holds {
            let most = u32::try_from(LABELS_MAX).unwrap_or(u32::MAX);
            let by = (asker.actor.as_str(), most);
            if !prompt::label(&mut *transaction, named, (version, &label), by).await? {
                let message = format!("the version has {LABELS_MAX} labels, the most");
                return Err(Error::invalid("label", message));
            }
            let done = Done::to("prompt.label", about);
            act::keep(&mut transaction, asker, done).await?;
        } else if prompt::unlabel(&mut *transaction, named, (version, &label), &asker.actor).await?
        {
            let done = Done::to("prompt.unlabel", about);
            act::keep(&mut transaction, asker, done).await?;
        }
        act::end(transaction).await?;
        self.routing.forget_prompts();
        Ok(())
    }
}

/// What a list can show: no line of it holds more than a line.
fn described(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(DESCRIPTION_CHARS_MAX).collect()
}

fn check_name(name: &str) -> Result<(), Error> {
    match names::path(name) {
        Some(_) => Ok(()),
        None => {
            let message = "expected words of lower-case letters, digits, _ and -, with / between";
            Err(Error::invalid("name", message))
        }
    }
}

fn read_which(text: &str) -> Result<Which, Error> {
    if text == "newest" {
        return Ok(Which::Newest);
    }
    let number = text.parse().ok().map(Which::Number);
    number.or_else(|| text.parse().ok().map(Which::Digest)).ok_or_else(|| {
        Error::invalid(
            "version",
            "expected a number, `newest`, or sha256: and 64 hexadecimal digits",
        )
    })
}
