//! A Dockerfile, built by buildah: no daemon, no mounts, one layer upon the base, times of 1970.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maestro_kit::evidence::image::{Base, Built, Changes, Layout, Recipe, adopt, compose, pack};

use super::action::Action;
use super::parameters::Container;
use super::plan::{self, Names};
use super::refusal::Refusal;
use crate::command::CommandLine;
use crate::environment::Variables;
use crate::error::Error;
use crate::parameters::Word;
use crate::workspace::{inside, plain};

/// What is looked for where no Dockerfile is named.
const NAMES: [&str; 2] = ["Dockerfile", "Containerfile"];
/// Takes images by their digests from wherever a Dockerfile says, as Debian's own policy does.
const POLICY: &str = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
/// What a base is called in the image's history.
const BASE_TAG: &str = "maestro-base";
/// The host's own policy, which goes before ours.
const HOSTS_POLICY: &str = "/etc/containers/policy.json";

/// The Dockerfile that a step is built by; nothing where it is built from files.
pub(super) async fn dockerfile(
    workspace: &Path,
    with: &Container,
) -> Result<Option<PathBuf>, Error> {
    if let Some(name) = &with.dockerfile {
        let found = inside(workspace, plain(name), "dockerfile").await?;
        return match found.filter(|path| path.is_file()) {
            Some(path) => Ok(Some(path)),
            None => Err(Refusal::parameter(
                format!("dockerfile: found no file {name:?} in the workspace"),
                "its path is relative to the workspace; does the step's `inputs` select it?",
            )
            .into()),
        };
    }
    if with.files.is_some() || with.base.is_some() {
        return Ok(None);
    }
    for name in NAMES {
        if let Some(path) = inside(workspace, name, "dockerfile").await?
            && path.is_file()
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Builds a Dockerfile into a layout at `out`.
pub(super) async fn build(
    action: &Action<'_>,
    dockerfile: &Path,
    names: &Names,
    out: &Path,
) -> Result<Built, Error> {
    check(action.with)?;
    if !is_installed(&action.settings.path) {
        return Err(Refusal::no_buildah().into());
    }
    let line = command(action, dockerfile, out).await?;
    let mut variables: Variables = action.variables();
    variables.insert("BUILDAH_ISOLATION".into(), "chroot".into());
    action.log.line(&format!("$ {line}")).await;
    let ended = action.run(&line, &variables).await;
    let removed = tokio::fs::remove_dir_all(storage(action)).await;
    ended?;
    if let Err(error) = removed {
        tracing::debug!(%error, "buildah's storage goes with the execution's directory");
    }
    let (out, tags) = (out.to_owned(), names.tags.clone());
    let own = action.scratch.to_owned();
    action.blocking(move || adopt(&out, &tags, Some(&own))).await
}

fn storage(action: &Action<'_>) -> PathBuf {
    action.scratch.join("buildah")
}

async fn command(action: &Action<'_>, dockerfile: &Path, out: &Path) -> Result<CommandLine, Error> {
    let with = action.with;
    let context = match &with.context {
        Some(path) => {
            let found = inside(action.workspace, plain(path), "context").await?;
            found.filter(|path| path.is_dir()).ok_or_else(|| {
                let what = format!("context: found no directory {path:?} in the workspace");
                Refusal::parameter(what, "its path is relative to the workspace")
            })?
        }
        None => action.workspace.to_owned(),
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let storage = storage(action);
    let mut words: Vec<String> = ["buildah", "--storage-driver", "vfs"].map(Into::into).into();
    words.extend(["--root".into(), text(&storage.join("root"))]);
    words.extend(["--runroot".into(), text(&storage.join("run"))]);
    words.extend(["build", "--isolation", "chroot", "--format", "oci"].map(Into::into));
    words.extend(["--disable-compression=false", "--layers=false", "--timestamp"].map(Into::into));
    words.push(plan::epoch(action.task)?.unwrap_or(0).to_string());
    words.extend(["--signature-policy".into(), text(&policy(action).await?)]);
    if let Some(file) = &action.settings.registry_auth {
        words.extend(["--authfile".into(), text(file)]);
    }
    if !plan::is_upon_nothing(with) {
        words.push(format!("--from=oci-archive:{}", text(&base(action).await?)));
    }
    words.extend(with.platform.iter().map(|platform| format!("--platform={platform}")));
    words.extend(with.target.iter().map(|target| format!("--target={target}")));
    words.extend(pairs("--build-arg", &with.build_args));
    words.extend(pairs("--label", &with.labels));
    words.push(format!("--file={}", text(dockerfile)));
    words.push(format!("--tag=oci:{}:maestro", text(out)));
    words.push(text(&context));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(CommandLine::of(&words))
}

/// The base, read whole, as one file: of a directory buildah would take the path for a name, which
/// not every path is.
async fn base(action: &Action<'_>) -> Result<PathBuf, Error> {
    let (copy, packed) = (action.scratch.join("base"), action.scratch.join("base.tar"));
    let found = action.base().await?.unwrap_or_default();
    let platform = plan::platform(action.with)?;
    let file = packed.clone();
    let make = move || {
        let recipe = Recipe {
            base: Base::Layout { path: &found, platform },
            files: BTreeMap::new(),
            changes: Changes::default(),
            tags: vec![BASE_TAG.to_owned()],
            epoch: None,
        };
        compose(&copy, &recipe)?;
        pack(&Layout::open(&copy)?, &file)
    };
    action.blocking(make).await?;
    Ok(packed)
}

fn pairs<'a>(
    option: &'a str,
    pairs: &'a BTreeMap<String, Word>,
) -> impl Iterator<Item = String> + 'a {
    pairs.iter().map(move |(name, Word(value))| format!("{option}={name}={value}"))
}

/// The policy of the host, or one of our own where it has none: without any, buildah takes no image.
async fn policy(action: &Action<'_>) -> Result<PathBuf, Error> {
    let hosts = PathBuf::from(HOSTS_POLICY);
    if hosts.is_file() {
        return Ok(hosts);
    }
    let own = action.scratch.join("policy.json");
    tokio::fs::write(&own, POLICY)
        .await
        .map_err(|source| Error::files("cannot write", &own, source))?;
    Ok(own)
}

/// Refuses what a Dockerfile says itself.
fn check(with: &Container) -> Result<(), Refusal> {
    let given = [
        ("files", with.files.is_some()),
        ("exclude", !with.exclude.is_empty()),
        ("entrypoint", with.entrypoint.is_some()),
        ("cmd", with.cmd.is_some()),
        ("env", !with.env.is_empty()),
        ("user", with.user.is_some()),
        ("workdir", with.workdir.is_some()),
        ("ports", !with.ports.is_empty()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(Refusal::parameter(
            format!("{name}: found it beside a Dockerfile, expected it in there"),
            "say it in the Dockerfile, or give `files` and no Dockerfile",
        )),
        None => Ok(()),
    }
}

fn is_installed(path: &str) -> bool {
    std::env::split_paths(path).any(|folder| folder.join("buildah").is_file())
}
