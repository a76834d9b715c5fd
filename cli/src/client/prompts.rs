//! `…/prompts`: versions of prompts, and their labels.

use maestro_schemas::api::prompts::{PromptPage, PromptPush, PromptPushed, PromptText};
use reqwest::Method;

use super::request::escape;
use super::{Client, Error};

/// Which page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The most versions.
    pub limit: u32,
    /// The former page's `next`.
    pub cursor: Option<String>,
}

impl Page {
    fn query(&self) -> String {
        let cursor = self.cursor.as_deref().map(|cursor| format!("&cursor={}", escape(cursor)));
        format!("?limit={}{}", self.limit, cursor.unwrap_or_default())
    }
}

impl Client {
    /// Keeps a prompt; sent again, it changes nothing.
    pub async fn push_prompt(&self, body: &PromptPush) -> Result<PromptPushed, Error> {
        self.post(&self.in_project("/prompts"), body).await
    }

    /// The newest version of each prompt, by name.
    pub async fn prompts(&self, page: &Page) -> Result<PromptPage, Error> {
        self.get(&self.in_project(&format!("/prompts{}", page.query()))).await
    }

    /// The versions of a prompt, the newest first.
    pub async fn prompt_versions(&self, name: &str, page: &Page) -> Result<PromptPage, Error> {
        self.get(&self.in_project(&format!("/prompts/{}{}", escape(name), page.query()))).await
    }

    /// A version with its text: by its number, `newest`, or a digest.
    pub async fn prompt(&self, name: &str, which: &str) -> Result<PromptText, Error> {
        self.get(&self.of_version(name, which)).await
    }

    /// Gives a version a label, or takes it away.
    pub async fn label_prompt(
        &self,
        (name, version): (&str, u32),
        label: &str,
        holds: bool,
    ) -> Result<(), Error> {
        let method = if holds { Method::PUT } else { Method::DELETE };
        let version = self.of_version(name, &version.to_string());
        let path = format!("{version}/labels/{}", escape(label));
        self.send(self.request(method, &path)).await.map(drop)
    }

    fn of_version(&self, name: &str, which: &str) -> String {
        self.in_project(&format!("/prompts/{}/versions/{}", escape(name), escape(which)))
    }
}
