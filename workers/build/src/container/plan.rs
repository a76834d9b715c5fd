//! What a step's parameters mean: the image's names, and how it is built.

use std::collections::{BTreeMap, BTreeSet};

use maestro_kit::evidence::image::{Changes, Platform, Reference};
use maestro_schemas::task::Task;

use super::parameters::{Container, Words};
use super::refusal::Refusal;
use crate::parameters::Word;

/// Where the program starts in an image upon nothing.
const WORKDIR: &str = "/app";
/// The tag where none is named.
const TAG: &str = "latest";
/// The most tags of one image.
const TAGS_MAX: usize = 32;
/// A registry for checking the rest of a reference with; nothing is ever asked of it.
const NO_REGISTRY: &str = "localhost";

/// An image's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// Where it is kept in a registry, by each tag; empty where no registry is named.
    pub(super) references: Vec<Reference>,
    /// The repository with the registry where one is named, as `ghcr.io/intelgraph/service`.
    pub(super) repository: String,
    /// The tags.
    pub(super) tags: Vec<String>,
}

impl Names {
    /// The names that a step gives; the image's own is `fallback` where it gives none.
    pub(super) fn of(with: &Container, fallback: &str) -> Result<Self, Refusal> {
        let own = with.image.clone().unwrap_or_else(|| as_repository(fallback));
        let (registry, repository) = match &with.registry {
            Some(place) => {
                let place = place.trim_end_matches('/');
                let (host, path) = place.split_once('/').unwrap_or((place, ""));
                let separator = if path.is_empty() { "" } else { "/" };
                (Some(host), format!("{path}{separator}{own}"))
            }
            None => (None, own),
        };
        let tags = with.tags.as_ref().map_or_else(|| vec![TAG.to_owned()], Words::texts);
        if tags.is_empty() || tags.len() > TAGS_MAX {
            let what = format!("tags: found {}, expected 1 to {TAGS_MAX}", tags.len());
            return Err(Refusal::parameter(what, "leave `tags` out for latest"));
        }
        let checked = tags.iter().map(|tag| {
            Reference::new(registry.unwrap_or(NO_REGISTRY), &repository, tag).map_err(|error| {
                Refusal::parameter(
                    format!("registry, image or tags: {error}"),
                    "as `registry: ghcr.io/me`, `image: service`, `tags: [1.0.0]`",
                )
            })
        });
        let references = checked.collect::<Result<Vec<_>, _>>()?;
        Ok(match registry {
            Some(registry) => {
                Self { repository: format!("{registry}/{repository}"), references, tags }
            }
            None => Self { repository, references: Vec::new(), tags },
        })
    }
}

/// A name of something else as a repository may be called.
fn as_repository(name: &str) -> String {
    let plain = name.chars().map(|sign| match sign {
        'a'..='z' | '0'..='9' => sign,
        'A'..='Z' => sign.to_ascii_lowercase(),
        _ => '-',
    });
    let plain: String = plain.collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "image".to_owned() } else { words.join("-") }
}

/// Where the image's program starts: what the step says, or [`WORKDIR`] upon nothing.
pub(super) fn workdir(with: &Container) -> Result<Option<String>, Refusal> {
    match &with.workdir {
        Some(path) if path.starts_with('/') => Ok(Some(path.clone())),
        Some(path) => Err(Refusal::parameter(
            format!("workdir: found {path:?}, expected a path from the image's root"),
            "write it with a / before it",
        )),
        None if is_upon_nothing(with) => Ok(Some(WORKDIR.to_owned())),
        None => Ok(None),
    }
}

/// Whether the image has no base.
pub(super) fn is_upon_nothing(with: &Container) -> bool {
    with.base.as_deref().is_none_or(|base| base == "scratch")
}

/// What the image has otherwise than its base.
pub(super) fn changes(with: &Container) -> Result<Changes, Refusal> {
    let texts = |words: &BTreeMap<String, Word>| {
        words.iter().map(|(name, Word(value))| (name.clone(), value.clone())).collect()
    };
    if let Some(name) = with.env.keys().find(|name| name.is_empty() || name.contains('=')) {
        let what = format!("env: found the name {name:?}, expected one that a variable can have");
        return Err(Refusal::parameter(what, "a name has no ="));
    }
    Ok(Changes {
        entrypoint: program("entrypoint", with.entrypoint.as_ref())?,
        cmd: program("cmd", with.cmd.as_ref())?,
        env: texts(&with.env),
        user: with.user.as_ref().map(|Word(user)| user.clone()),
        workdir: workdir(with)?,
        labels: texts(&with.labels),
        ports: with.ports.iter().map(port).collect::<Result<BTreeSet<_>, _>>()?,
    })
}

fn program(name: &str, words: Option<&Words>) -> Result<Option<Vec<String>>, Refusal> {
    match words {
        Some(Words::One(Word(line))) if line.contains(char::is_whitespace) => {
            Err(Refusal::parameter(
                format!("{name}: found a line, expected a list; an image may have no shell"),
                "write it as [program, argument, …]",
            ))
        }
        words => Ok(words.map(Words::texts)),
    }
}

fn port(Word(text): &Word) -> Result<String, Refusal> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_port = number.parse::<u16>().is_ok_and(|number| number > 0);
    if is_port && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Ok(format!("{number}/{protocol}"));
    }
    let what = format!("ports: found {text:?}, expected a port from 1 to 65535");
    Err(Refusal::parameter(what, "as 8080 or 53/udp"))
}

/// The platform that a step names.
pub(super) fn platform(with: &Container) -> Result<Option<Platform>, Refusal> {
    let read = |text: &String| {
        Platform::parse(text).ok_or_else(|| {
            let what = format!("platform: found {text:?}, expected os/architecture");
            Refusal::parameter(what, "as linux/amd64 or linux/arm/v7")
        })
    };
    with.platform.as_ref().map(read).transpose()
}

/// `SOURCE_DATE_EPOCH` of the step, in seconds.
pub(super) fn epoch(task: &Task) -> Result<Option<u64>, Refusal> {
    // The year 9999 ends there.
    const SECONDS_MAX: u64 = 253_402_300_799;
    let read = |text: &String| match text.parse() {
        Ok(seconds) if seconds <= SECONDS_MAX => Ok(seconds),
        _ => {
            let what =
                format!("env SOURCE_DATE_EPOCH: found {text:?}, expected seconds since 1970");
            Err(Refusal::parameter(what, "as `git log -1 --format=%ct` prints them"))
        }
    };
    task.env.get("SOURCE_DATE_EPOCH").map(read).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(value: serde_json::Value) -> Container {
        serde_json::from_value(value).expect("parameters")
    }

    #[test]
    fn names_are_put_together_from_registry_image_and_tags() {
        let names = Names::of(&with(json!({"registry": "ghcr.io/intelgraph"})), "intelgraph-build");
        let names = names.expect("names");
        assert_eq!(names.repository, "ghcr.io/intelgraph/intelgraph-build");
        assert_eq!(names.references[0].to_string(), "ghcr.io/intelgraph/intelgraph-build:latest");
        let names = Names::of(&with(json!({"image": "a/b", "tags": ["x", 2]})), "n");
        let names = names.expect("names");
        assert_eq!((names.repository.as_str(), names.references.len()), ("a/b", 0));
        assert_eq!(names.tags, ["x", "2"]);
        let names = Names::of(&with(json!({})), "My Pipeline (2)!").expect("names");
        assert_eq!(names.repository, "my-pipeline-2");
        for refused in [
            json!({"registry": "intelgraph"}),
            json!({"registry": "https://ghcr.io"}),
            json!({"registry": "user:secret@ghcr.io"}),
            json!({"image": "Upper"}),
            json!({"image": "../x"}),
            json!({"tags": []}),
            json!({"tags": "a b"}),
        ] {
            let error = Names::of(&with(refused.clone()), "n").expect_err("refused").to_string();
            assert!(error.starts_with("MAE-7030"), "{refused}: {error}");
        }
    }

    #[test]
    fn what_no_image_can_start_with_is_refused() {
        for refused in [
            json!({"workdir": "app"}),
            json!({"entrypoint": "node main.js"}),
            json!({"ports": ["http"]}),
            json!({"ports": [0]}),
            json!({"ports": ["80/quic"]}),
            json!({"env": {"A=B": "c"}}),
        ] {
            let error = changes(&with(refused.clone())).expect_err("refused").to_string();
            assert!(error.starts_with("MAE-7030"), "{refused}: {error}");
        }
        let changes = changes(&with(json!({"ports": [8080, "53/udp"], "cmd": "run"})));
        let changes = changes.expect("changes");
        assert_eq!(changes.ports.into_iter().collect::<Vec<_>>(), ["53/udp", "8080/tcp"]);
        assert_eq!(changes.workdir.as_deref(), Some("/app"));
    }
}
