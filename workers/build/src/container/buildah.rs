//! A Dockerfile, built by buildah: no daemon, one layer upon the base, times of 1970.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maestro_kit::evidence::image::{Base, Built, Changes, Layout, Recipe, adopt, compose, pack};

use nix::unistd::geteuid;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::action::Action;
use super::credentials::Credentials;
use super::parameters::Container;
use super::plan::{self, Names};
use super::refusal::Refusal;
use super::registry::is_loopback;
use super::room::Doing;
use super::sources;
use crate::command::CommandLine;
use crate::error::Error;
use crate::parameters::Word;
use crate::workspace::{inside, plain};

/// What the commands of a Dockerfile are not to do: leave their root, make devices, forge packets and
/// records of audits.
const FORBIDDEN: [&str; 4] = ["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_NET_RAW", "CAP_AUDIT_WRITE"];
/// How much of a Dockerfile is looked through for images.
const DOCKERFILE_BYTES_MAX: u64 = 1 << 20;
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

/// Builds a Dockerfile into a layout.
pub(super) async fn build(
    action: &Action<'_>,
    dockerfile: &Path,
    (names, credentials): (&Names, &Credentials),
) -> Result<Built, Error> {
    check(action.with)?;
    if !is_installed(&action.settings.path) {
        return Err(Refusal::no_buildah().into());
    }
    for directory in [action.storage(), action.out()] {
        tokio::fs::create_dir_all(&directory)
            .await
            .map_err(|source| Error::files("cannot make", &directory, source))?;
    }
    let kitchen = Kitchen::of(action).await?;
    let built = async {
        kitchen.fetch(dockerfile, credentials).await?;
        kitchen.build(dockerfile).await
    };
    let built = built.await;
    kitchen.clear().await;
    built?;
    let (out, tags) = (action.out(), names.tags.clone());
    let own = action.scratch.to_owned();
    action.blocking(move || adopt(&out, &tags, Some(&own))).await
}

/// What both of buildah's runs are told.
struct Kitchen<'a> {
    action: &'a Action<'a>,
    policy: PathBuf,
}

impl<'a> Kitchen<'a> {
    async fn of(action: &'a Action<'a>) -> Result<Self, Error> {
        Ok(Self { action, policy: policy(action).await? })
    }

    /// Fetches the images that the worker has credentials for, which the build then finds.
    async fn fetch(&self, dockerfile: &Path, credentials: &Credentials) -> Result<(), Error> {
        let Some(file) = &self.action.settings.registry_auth else { return Ok(()) };
        let with = self.action.with;
        let text = read(dockerfile).await?;
        for image in sources::images(&text, &with.build_args, !plan::is_upon_nothing(with)) {
            let (registry, repository) = sources::place(&image);
            if credentials.of(registry, repository).is_none() {
                continue;
            }
            let mut words = self.words(&["pull", "--quiet"]);
            words.extend(["--authfile".into(), text_of(file)]);
            words.extend(with.platform.iter().map(|platform| format!("--platform={platform}")));
            if is_loopback(registry) {
                words.push("--tls-verify=false".into());
            }
            words.push(format!("docker://{image}"));
            let files = vec![file.clone(), self.policy.clone()];
            match self.action.buildah(Doing::Fetching, &line(&words), files).await {
                // Whether it is needed, the build will tell.
                Ok(()) | Err(Error::Command { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn build(&self, dockerfile: &Path) -> Result<(), Error> {
        let (action, with) = (self.action, self.action.with);
        let context = context(action).await?;
        let mut words = self.words(&["build", "--isolation", "chroot", "--format", "oci"]);
        words.extend(["--disable-compression=false", "--layers=false"].map(Into::into));
        words.extend(FORBIDDEN.map(|name| format!("--cap-drop={name}")));
        words.extend(["--timestamp".into(), plan::epoch(action.task)?.unwrap_or(0).to_string()]);
        let mut files = vec![self.policy.clone()];
        if !plan::is_upon_nothing(with) {
            let base = base(action).await?;
            words.push(format!("--from=oci-archive:{}", text_of(&base)));
            files.push(base);
        }
        words.extend(with.platform.iter().map(|platform| format!("--platform={platform}")));
        words.extend(with.target.iter().map(|target| format!("--target={target}")));
        words.extend(pairs("--build-arg", &with.build_args));
        words.extend(pairs("--label", &with.labels));
        words.push(format!("--file={}", text_of(dockerfile)));
        words.push(format!("--tag=oci:{}:maestro", text_of(&action.out())));
        words.push(text_of(&context));
        action.buildah(Doing::Building, &line(&words), files).await
    }

    /// The words that a command begins with.
    fn words(&self, command: &[&str]) -> Vec<String> {
        let storage = self.action.storage();
        let mut words: Vec<String> = ["buildah", "--storage-driver", "vfs"].map(Into::into).into();
        words.extend(["--root".into(), text_of(&storage.join("root"))]);
        words.extend(["--runroot".into(), text_of(&storage.join("run"))]);
        words.extend(command.iter().map(|word| (*word).to_owned()));
        words.extend(["--signature-policy".into(), text_of(&self.policy)]);
        words
    }

    /// Removes what buildah worked with. Of a worker that is not root, some of it is other users'.
    async fn clear(&self) {
        let storage = self.action.storage();
        let mut words = self.action.becoming_root();
        words.extend(["rm", "-rf", "--"].map(Into::into));
        words.push(text_of(&storage));
        let removed = match geteuid().is_root() {
            true => tokio::fs::remove_dir_all(&storage).await.map_err(|error| error.to_string()),
            false => self.action.clear(&line(&words)).await.map_err(|error| error.to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, "buildah's storage stays behind");
        }
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn line(words: &[String]) -> CommandLine {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    CommandLine::of(&words)
}

/// The beginning of a Dockerfile, which names its images.
async fn read(dockerfile: &Path) -> Result<String, Error> {
    let failed = |source| Error::files("cannot read", dockerfile, source);
    let mut bytes = Vec::new();
    let file = File::open(dockerfile).await.map_err(failed)?;
    file.take(DOCKERFILE_BYTES_MAX).read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn context(action: &Action<'_>) -> Result<PathBuf, Error> {
    let Some(path) = &action.with.context else {
        return Ok(action.places.workspace.clone());
    };
    let found = inside(&action.places.workspace, plain(path), "context").await?;
    let found = found.filter(|path| path.is_dir());
    Ok(found.ok_or_else(|| {
        let what = format!("context: found no directory {path:?} in the workspace");
        Refusal::parameter(what, "its path is relative to the workspace")
    })?)
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
