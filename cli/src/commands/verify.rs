//! `maestro verify`: is it what was signed, by whom, and how was it made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use maestro_evidence::key::ring::Trust;
use maestro_evidence::verify::chain::Link;
use maestro_evidence::verify::expect::Expectation;
use maestro_evidence::verify::image::{image as verify_image, newest_list, roots, spoken};
use maestro_evidence::verify::{Finding, Question, directory};
use maestro_schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::evidence::{self, image, image::Access, image::ImageName};
use super::runs::name::RunName;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;
use crate::view::paint::Paint;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --dir nothing is asked of any server. Of an image in a registry, what `maestro evidence attach` put
beside it is read there, and nothing is asked of a server of ours; --root, or --keys, says whose keys
count. Else the evidence is fetched first.
Exit code 0 where all of it holds, 1 where something does not; the first link that fails is named. 6 where
what is named is not there: of an image also where no list of keys of that root is. 2 where the arguments
do not fit, as of an image with neither --root nor --keys.

Examples:
  maestro verify --dir evidence
  maestro verify dist/app.tar.gz --dir evidence --root sha256:5b1c…
  maestro verify --dir evidence --expect release.toml --json
  maestro verify --dir evidence --keys keys.json
  maestro verify ghcr.io/intelgraph/service:1.4.0 --root sha256:5b1c…
  maestro verify last
  maestro verify dist/app.tar.gz")]
pub struct Args {
    /// A file, an image as an OCI layout or in a registry, a digest, a run's id or `last`.
    what: Option<String>,
    /// A directory that `maestro evidence export` wrote.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The fingerprint of the root that must have signed the list of keys.
    #[arg(long, value_name = "FINGERPRINT")]
    root: Option<Digest>,
    /// A file of what is expected: builders, branch, steps and more.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// A signed list of keys. The newest of its root counts, be it this one or the one that is attached, in
    /// the directory, or fetched.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

/// What is asked about.
pub(super) enum What {
    /// All of a directory.
    Everything,
    /// A run.
    Run(RunName),
    /// An artifact.
    Artifact(Digest),
    /// An image in a registry.
    Image(ImageName),
}

/// Verifies.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let what = what(args.what.as_deref())?;
    let expect = args.expect.as_deref().map(expectation).transpose()?.unwrap_or_default();
    let artifact = match what {
        What::Artifact(digest) => Some(digest),
        _ => None,
    };
    let (root, keys) = match args.keys.map(|path| list(&path, args.root)).transpose()? {
        Some((root, bytes)) => (Some(root), Some(bytes)),
        None => (args.root, None),
    };
    let question = Question { root, keys, artifact, expect };
    let finding = match (args.dir, what) {
        (Some(dir), What::Run(_)) => {
            let dir = dir.display();
            return Err(Error::usage(
                format!("{dir} holds the evidence of one run, so no run is to be named"),
                format!("`maestro verify --dir {dir}`"),
            ));
        }
        (Some(_), What::Image(name)) => {
            return Err(Error::usage(
                format!("{name} is in a registry, and --dir names a directory"),
                "name the image's digest to find it in a directory",
            ));
        }
        (Some(dir), _) => find(dir, question).await?,
        (None, What::Image(name)) => attached(&name, &args.access, question).await?,
        (None, what) => fetched(what, question, global, output).await?,
    };
    output.show(&finding, || tell(&finding, output.paint()))?;
    Ok(if finding.verified { Exit::Ok } else { Exit::Error })
}

/// Fetches the evidence of the run that is meant, and verifies it.
async fn fetched(
    what: What,
    question: Question,
    global: &Global,
    output: Output,
) -> Result<Finding, Error> {
    let target = target::connect(global).await?;
    let run = match what {
        What::Run(name) => name.find(&target.client).await?,
        What::Artifact(digest) => target.client.made_by(digest).await?.run,
        What::Everything | What::Image(_) => {
            return Err(Error::usage(
                "nothing is named that is to be verified",
                "name a file, a digest or a run, or a directory of evidence with --dir",
            ));
        }
    };
    let place = tempfile::tempdir().map_err(Error::file("make", Path::new("a directory")))?;
    let to = place.path().join("evidence");
    evidence::write(&target.client, run, &to, output).await?;
    find(to, question).await
}

/// Reads what is attached to an image, and verifies it.
async fn attached(
    name: &ImageName,
    access: &Access,
    mut question: Question,
) -> Result<Finding, Error> {
    let found = image::read(name, access).await?;
    let Some(root) = question.root else { return Err(no_root(name, &roots(&found.lists))) };
    let lists = found.lists.into_iter().chain(question.keys.take());
    let keys = newest_list(lists, root).map_err(|problem| Error::NotFound {
        what: format!("a list of keys of {root} at {name} ({problem})"),
        hint: Some("`maestro evidence attach` attaches one, and --keys names a file of one".into()),
    })?;
    let verifying = move || verify_image(found.digest, &keys, &found.bundles, &question);
    let verifying = tokio::task::spawn_blocking(verifying);
    verifying.await.map_err(|error| Error::service("verify", error))
}

/// A file's list of keys and its root, which is the one that is asked for, if one is.
fn list(path: &Path, root: Option<Digest>) -> Result<(Digest, Vec<u8>), Error> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let own = Trust::open(&bytes, None)?.root().fingerprint();
    match root.filter(|root| *root != own) {
        None => Ok((own, bytes)),
        Some(root) => Err(Error::usage(
            format!(
                "the list of keys in {} is of the root {own}, and not of {root}",
                path.display()
            ),
            "name a list of that root with --keys, or its root with --root",
        )),
    }
}

fn no_root(name: &ImageName, roots: &BTreeSet<Digest>) -> Error {
    let hint = match spoken(roots) {
        none if none.is_empty() => {
            "no list of keys is attached; whoever built the image knows its root".to_owned()
        }
        roots => format!("compare with the root that you know; attached are lists of {roots}"),
    };
    Error::usage(format!("{name} is verified by a root: give --root or --keys"), hint)
}

async fn find(dir: PathBuf, question: Question) -> Result<Finding, Error> {
    let verifying = tokio::task::spawn_blocking(move || directory(&dir, &question));
    verifying.await.map_err(|error| Error::service("verify", error))
}

pub(super) fn what(named: Option<&str>) -> Result<What, Error> {
    let Some(named) = named else { return Ok(What::Everything) };
    let path = Path::new(named);
    if path.join("oci-layout").is_file() {
        return of_layout(path).map(What::Artifact);
    }
    if path.is_file() {
        return hash(path).map(What::Artifact);
    }
    if let Ok(digest) = named.parse() {
        return Ok(What::Artifact(digest));
    }
    if let Ok(name) = named.parse() {
        return Ok(What::Image(name));
    }
    named.parse().map(What::Run).map_err(|_| {
        Error::usage(
            format!("{named:?} is no file, no image, no digest and no run"),
            "name a file that is there, an image as ghcr.io/team/app:1.0, sha256: and 64 digits, a \
             run's id, or last",
        )
    })
}

/// The digest of the one image of an OCI layout.
fn of_layout(layout: &Path) -> Result<Digest, Error> {
    let path = layout.join("index.json");
    let text = std::fs::read(&path).map_err(Error::file("read", &path))?;
    let index: serde_json::Value = serde_json::from_slice(&text)?;
    let images = index.get("manifests").and_then(serde_json::Value::as_array);
    let digest = match images.map(Vec::as_slice) {
        Some([one]) => one.get("digest").and_then(|digest| digest.as_str()?.parse().ok()),
        _ => None,
    };
    digest.ok_or_else(|| {
        Error::usage(
            format!("{} names not one image", path.display()),
            "name the image's digest instead",
        )
    })
}

fn hash(path: &Path) -> Result<Digest, Error> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).map_err(Error::file("read", path))?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk).map_err(Error::file("read", path))?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(chunk.get(..read).unwrap_or_default());
    }
}

fn expectation(path: &Path) -> Result<Expectation, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    toml::from_str(&text).map_err(|source| Error::Expectation { path: path.to_owned(), source })
}

fn tell(finding: &Finding, paint: Paint) -> String {
    let mut lines = Vec::new();
    lines.extend(finding.image.map(|image| format!("image  {image}")));
    if let Some(root) = finding.root {
        let known = match finding.root_is_known {
            true => "the one that was asked for",
            false => "by its own word: compare it with the one you know, or give it with --root",
        };
        lines.push(format!("root   {root}\n       {}", paint.dim(known)));
    }
    lines.extend(finding.keys_made_on.map(|on| format!("keys   their list is of {on}")));
    if let (Some(key), None) = (&finding.key, &finding.run) {
        lines.push(format!("key    {key}\n       {} statements hold", finding.statements));
    }
    if let (Some(key), Some(run)) = (&finding.key, &finding.run) {
        lines.push(format!("key    {key}, {}", run.signed_on));
        let what = format!("{} of {}: {}", run.pipeline, run.project, run.state);
        lines.push(format!("run    {}\n       {}", run.run, clean(&what)));
        lines.push(format!("files  {} are what was signed", finding.files));
        lines.push(format!("       {} statements hold", finding.statements));
        lines
            .extend(run.left_out.iter().map(|note| paint.warn(&format!("not    {}", clean(note)))));
    }
    lines.extend(finding.chain.iter().map(|link| made(link, paint)));
    lines.extend(finding.links_untold.map(|count| format!("       and {count} more")));
    lines.extend(finding.promotions.iter().map(|one| {
        let where_to = paint.bold(&clean(&one.environment));
        format!("may go {where_to} {}\n       verified {} by key {}", one.artifact, one.at, one.key)
    }));
    lines.extend(finding.entries.iter().map(|one| {
        let (what, who) = (paint.bold(&clean(&one.action)), clean(&one.actor));
        format!(
            "asked  {what} {}\n       by {who} {}, entry {} of {}",
            one.id,
            one.at,
            one.place,
            clean(&one.log)
        )
    }));
    for failure in &finding.failures {
        let (code, file) = (failure.code, clean(&failure.file));
        lines.push(format!(
            "{} {file}\n       {code} {}",
            paint.bad("FAILS "),
            clean(&failure.what)
        ));
    }
    lines.push(match finding.verified {
        true => paint.good("verified"),
        false => paint.bad("not verified"),
    });
    lines.join("\n")
}

fn made(link: &Link, paint: Paint) -> String {
    let mut text = format!("made   {} {}", paint.bold(&clean(&link.made)), link.digest);
    let by = format!("{}/{}", link.project, link.pipeline);
    text.push_str(&format!("\n       by {} on {}", clean(&by), clean(&link.builder)));
    for source in &link.from {
        text.push_str(&format!("\n       from {}", clean(source)));
    }
    text
}
