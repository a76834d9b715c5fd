//! A run's evidence written out. Who signed it, and whether, is asked by `maestro verify`; here each
//! file's digest is taken, and no path leads out of the directory.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use maestro_evidence::dsse::Sealed;
use maestro_evidence::key::ring::Trust;
use maestro_evidence::statement::Statement;
use maestro_evidence::statement::run::{RunEvidence, file};
use maestro_evidence::tree::{self, Limits};
use maestro_schemas::api::evidence::EvidenceStanding;
use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use tokio::time::{Instant, sleep};

use super::{audit, promotions};
use crate::client::Client;
use crate::commands::artifacts::fetch;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// For a run that has just ended to be signed.
const SIGNED_WITHIN: Duration = Duration::from_secs(20);

/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many files are told of at once.
const TOLD_EVERY: usize = 500;

/// Writes the evidence of a run to a directory that is not there yet; gives the number of its files.
///
/// It is written beside its place and moved there when it is whole.
pub async fn write(
    client: &Client,
    run: RunId,
    path: &Path,
    output: Output,
) -> Result<usize, Error> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::usage(
            format!("{} exists already", path.display()),
            "name a directory that does not",
        ));
    }
    let manifest = signed(client, run, output).await?;
    let bundle = checked(file::MANIFEST, manifest, client.evidence_file(run, manifest).await?)?;
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = tempfile::Builder::new()
        .prefix(".maestro-")
        .tempdir_in(parent)
        .map_err(Error::file("write in", parent))?;
    let at = |name: &str| place.path().join(name);
    put(&at(file::MANIFEST), &bundle)?;
    let (links, executable) = (Vec::new(), HashSet::new());
    let mut writing = Writing { client, run, place: place.path(), output, links, executable };
    let files = writing.files(&bundle).await?;
    let promotions = promotions::write(client, run, place.path(), output).await?;
    let entries = audit::write(client, run, place.path(), output).await?;
    // Asked last, so that no key is revoked while the rest is fetched and not known to be.
    let keys = client.signed_keys().await?;
    put(&at(file::KEYS), &keys)?;
    if let Ok(trust) = Trust::open(&keys, None) {
        put(&at(file::ROOT), trust.root().pem().as_bytes())?;
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))
        .map_err(Error::file("write", path))?;
    fs::rename(place.path(), path).map_err(Error::file("write", path))?;
    // It has its name now, and there is nothing to take away.
    let _ = place.keep();
    Ok(files + promotions + entries)
}

/// The digest of the run's manifest. A run that ended a moment ago is waited for, and no other.
async fn signed(client: &Client, run: RunId, output: Output) -> Result<Digest, Error> {
    let (until, limit) = (Instant::now() + SIGNED_WITHIN, SIGNED_WITHIN.as_secs());
    let mut told = false;
    loop {
        let problem = match standing(client, run).await? {
            Standing::Signed(manifest) => return Ok(manifest),
            Standing::NotYet(problem) => problem,
        };
        if Instant::now() >= until {
            let why = problem.unwrap_or_else(|| "nothing was said of it".to_owned());
            return Err(Error::NotFound {
                what: format!("signed evidence of {run} within {limit} s"),
                hint: Some(format!(
                    "{why}; a run is signed once it has ended, by a coordinator that has --keys"
                )),
            });
        }
        if !told {
            output
                .talk(&format!("{run} has ended and is not signed yet: waiting at most {limit} s"));
            told = true;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Where the evidence of a run that has ended stands.
enum Standing {
    Signed(Digest),
    /// With what stood in the way, where something did.
    NotYet(Option<String>),
}

/// Where the evidence stands of a run that the server knows to have ended.
async fn standing(client: &Client, run: RunId) -> Result<Standing, Error> {
    match client.evidence(run).await {
        Ok(EvidenceStanding { manifest: Some(manifest), .. }) => Ok(Standing::Signed(manifest)),
        Ok(EvidenceStanding { problem, .. }) => Ok(Standing::NotYet(problem)),
        // Its end may not have been told to the one who signs.
        Err(error) if error.exit() == Exit::NotFound => {
            match client.run(run).await?.summary.state {
                state if state.is_final() => Ok(Standing::NotYet(None)),
                state => Err(Error::NotFound {
                    what: format!("signed evidence of {run}, which is {},", state.as_str()),
                    hint: Some(
                        "a run is signed once it has ended; `maestro runs watch` waits".into(),
                    ),
                }),
            }
        }
        Err(error) => Err(error.into()),
    }
}

struct Writing<'a> {
    client: &'a Client,
    run: RunId,
    place: &'a Path,
    output: Output,
    /// Links of directories with their targets. They come last, so that no file is written through one.
    links: Vec<(PathBuf, String)>,
    /// Files that their owner may execute.
    executable: HashSet<PathBuf>,
}

impl Writing<'_> {
    async fn files(&mut self, bundle: &[u8]) -> Result<usize, Error> {
        let form = |what: String| Error::service("read the manifest", what);
        let sealed = Sealed::parse(bundle).map_err(|error| form(error.to_string()))?;
        let statement = Statement::<RunEvidence>::read(sealed.unverified()).map_err(form)?;
        let count = statement.subject.len();
        for (number, subject) in (1..).zip(&statement.subject) {
            let digest = subject.digest.as_sha256();
            let digest = digest.ok_or_else(|| form(format!("{} has no SHA-256", subject.name)))?;
            self.file(&subject.name, digest).await?;
            if number % TOLD_EVERY == 0 {
                self.output.talk(&format!("{number} of {count} files"));
            }
        }
        for (path, target) in self.links.drain(..) {
            make_parent(&path)?;
            symlink(target, &path).map_err(Error::file("write", &path))?;
        }
        Ok(count)
    }

    async fn file(&mut self, name: &str, digest: Digest) -> Result<(), Error> {
        let path = below(self.place, name)?;
        if !name.starts_with(&format!("{}/", file::ARTIFACTS)) {
            let bytes = self.client.evidence_file(self.run, digest).await?;
            return put(&path, &checked(name, digest, bytes)?);
        }
        make_parent(&path)?;
        if !path.exists() {
            fetch::to_file(self.client, digest, &path).await?;
        }
        if self.executable.contains(&path) {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&path, mode).map_err(Error::file("write", &path))?;
        }
        match name.strip_suffix(".tree.json") {
            Some(directory) => self.note(directory, &path),
            None => Ok(()),
        }
    }

    /// Notes what a directory's list says beside digests.
    fn note(&mut self, directory: &str, list: &Path) -> Result<(), Error> {
        let bytes = fs::read(list).map_err(Error::file("read", list))?;
        let Ok(list) = serde_json::from_slice::<Tree>(&bytes) else { return Ok(()) };
        if tree::check(&list, Limits::default()).is_err() {
            return Ok(());
        }
        for entry in list.entries {
            let path = below(self.place, &format!("{directory}/{}", entry.path))?;
            match entry.kind {
                TreeEntryKind::Link { target } => self.links.push((path, target)),
                TreeEntryKind::File { executable: true, .. } => {
                    self.executable.insert(path);
                }
                TreeEntryKind::File { .. } => {}
            }
        }
        Ok(())
    }
}

pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_parent(path)?;
    fs::write(path, bytes).map_err(Error::file("write", path))
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::file("make", parent)),
        None => Ok(()),
    }
}

fn below(place: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = Path::new(name);
    match !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(place.join(path)),
        false => {
            Err(Error::service("write a file", format!("{name:?} leads out of the directory")))
        }
    }
}

pub(super) fn checked(what: &str, expected: Digest, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let found = Digest::of(&bytes);
    match found == expected {
        true => Ok(bytes),
        false => Err(Error::Corrupt {
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}
