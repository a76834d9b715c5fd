//! A project that nobody here wrote, and what its tests need, fetched by pip: pinned, checked by
//! digest, wheels only, so that nothing of it is executed on the way.
//!
//! What came is kept, so that the demo can be told again where there is no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::broken::Broken;
use super::place::Place;
use super::voice::Voice;
use crate::error::Error;
use crate::local::log_file;

/// What the project is called where it is told of.
pub const PROJECT: &str = "networkx 3.4.2";
/// For the package manager to fetch five files.
const DOWNLOAD_MAX: Duration = Duration::from_secs(90);
/// For it to unpack them.
const UNPACK_MAX: Duration = Duration::from_secs(60);

/// Fetches the project and unpacks it beside its pipeline.
pub async fn fetch(place: &Place, voice: &Voice) -> Result<(), Error> {
    let online =
        voice.while_waiting(&format!("fetching {PROJECT} with pip"), download(place)).await?;
    if !online {
        voice.say(
            "  no network: what was fetched before is taken, and its digests are checked again",
        );
    }
    voice.while_waiting("unpacking it", unpack(place)).await
}

/// Whether the package manager could fetch; where it could not, an earlier time has to do.
async fn download(place: &Place) -> Result<bool, Error> {
    let new = place.root().join("wheels.new");
    remove(&new)?;
    let mut words = vec!["download", "--retries", "1", "--timeout", "10", "--dest"];
    let new_text = new.to_string_lossy();
    words.push(&new_text);
    let log = place.root().join("fetch.log");
    match pip(place, &words, DOWNLOAD_MAX, &log).await {
        Ok(()) => {
            remove(&place.wheels())?;
            fs::rename(&new, place.wheels()).map_err(Error::file("keep", &new))?;
            Ok(true)
        }
        Err(_) if place.wheels().is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn unpack(place: &Place) -> Result<(), Error> {
    let (wheels, packages) = (place.wheels(), place.project().join("packages"));
    let (from, to) = (wheels.to_string_lossy(), packages.to_string_lossy());
    let words = ["install", "--no-index", "--find-links", &from, "--no-compile", "--target", &to];
    pip(place, &words, UNPACK_MAX, &place.root().join("unpack.log")).await?;
    let source = place.project().join("networkx");
    fs::rename(packages.join("networkx"), &source).map_err(Error::file("make", &source))
}

/// Runs pip on what is pinned, with its output in a log that is named where it fails.
async fn pip(place: &Place, words: &[&str], limit: Duration, log: &Path) -> Result<(), Error> {
    let (verb, rest) = words.split_first().map_or(("help", words), |(verb, rest)| (*verb, rest));
    let output = File::create(log).map_err(Error::file("write", log))?;
    let errors = output.try_clone().map_err(Error::file("write", log))?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", verb, "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--requirement", "requirements.txt"])
        .args(rest)
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .current_dir(place.project())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true);
    let failed =
        |tail: String| Broken::Tool { what: format!("pip {verb}"), log: log.to_owned(), tail };
    let mut child =
        command.spawn().map_err(|error| failed(format!("cannot start python3: {error}")))?;
    match timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(_) => Err(failed(log_file::tail(log)).into()),
        Err(_) => Err(failed(format!("it was ended after {limit:?}")).into()),
    }
}

fn remove(dir: &PathBuf) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
