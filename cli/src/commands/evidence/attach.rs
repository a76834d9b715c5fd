//! `maestro evidence attach`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use maestro_build::container::registry::{self, Attachment};
use maestro_evidence::dsse::{BUNDLE_MEDIA_TYPE, Sealed};
use maestro_evidence::key::ring::RING_TYPE;
use maestro_evidence::statement::predicate_type;
use maestro_evidence::statement::run::file;
use maestro_evidence::verify::{Finding, Question, directory};
use maestro_schemas::digest::Digest;
use serde_json::json;

use super::image::{self, Access, ImageName};
use super::write;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Attached are, each as a referrer of the image: the statements of how it was made, back to its sources;
the summaries of its promotions; and the signed list of keys. All are Sigstore bundles of version 0.3.
They are verified before, and attaching them again changes nothing. A registry that does not list
referrers gets a list under the tag `sha256-…`.

Examples:
  maestro evidence attach ghcr.io/intelgraph/service:1.4.0
  maestro evidence attach ghcr.io/intelgraph/service@sha256:9f86… --dir evidence
  maestro verify ghcr.io/intelgraph/service:1.4.0 --root sha256:5b1c…")]
pub struct Args {
    /// The image, where it was pushed.
    image: ImageName,
    /// A directory that `maestro evidence export` wrote, instead of the server's evidence.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let (repository, digest) = image::find(&args.image, &args.access).await?;
    let place = tempfile::tempdir().map_err(Error::file("make", Path::new("a directory")))?;
    let dir = match args.dir {
        Some(dir) => dir,
        None => {
            let target = target::connect(global).await?;
            let run = target.client.made_by(digest).await?.run;
            let dir = place.path().join("evidence");
            write(&target.client, run, &dir, output).await?;
            dir
        }
    };
    let finding = verified(&dir, digest).await?;
    let mut attachments = bundles(&dir, &finding)?;
    attachments.push(keys(&dir)?);
    let count = attachments.len() - 1;
    let mut listed = true;
    for attachment in attachments {
        listed &= registry::attach(&repository, digest, &attachment).await?.listed;
    }
    if output.is_json() {
        output.json(&json!({
            "image": digest, "statements": count, "root": finding.root, "listed": listed,
        }))?;
    } else {
        let (name, root) = (&args.image, finding.root.unwrap_or(digest));
        output.talk(&format!(
            "{count} statements are attached to {digest}; check them with `maestro verify {name} --root {root}`"
        ));
    }
    Ok(Exit::Ok)
}

/// What the directory says of the image, all of which holds.
async fn verified(dir: &Path, image: Digest) -> Result<Finding, Error> {
    let question = Question { artifact: Some(image), ..Question::default() };
    let place = dir.to_owned();
    let verifying = tokio::task::spawn_blocking(move || directory(&place, &question));
    let finding = verifying.await.map_err(|error| Error::service("verify", error))?;
    match finding.failures.first() {
        None => Ok(finding),
        Some(failure) => Err(Error::service(
            "attach what does not hold",
            format!("{} {}: {}", failure.code, failure.file, failure.what),
        )),
    }
}

/// The statements of the image's chain and the summaries about it, each once.
fn bundles(dir: &Path, finding: &Finding) -> Result<Vec<Attachment>, Error> {
    let made = finding.chain.iter().map(|link| &link.statement);
    let promoted = finding.promotions.iter().map(|one| &one.statement);
    let names: BTreeSet<&String> = made.chain(promoted).collect();
    let read = |name: &String| {
        let path = dir.join(name);
        let bytes = std::fs::read(&path).map_err(Error::file("read", &path))?;
        let kind =
            Sealed::parse(&bytes).ok().and_then(|sealed| predicate_type(sealed.unverified()));
        let mut annotations = BTreeMap::from([(
            "dev.sigstore.bundle.content".to_owned(),
            "dsse-envelope".to_owned(),
        )]);
        annotations.extend(kind.map(|kind| ("dev.sigstore.bundle.predicateType".to_owned(), kind)));
        let artifact_type = BUNDLE_MEDIA_TYPE.to_owned();
        Ok(Attachment { bytes: bytes.into(), artifact_type, annotations })
    };
    names.into_iter().map(read).collect()
}

fn keys(dir: &Path) -> Result<Attachment, Error> {
    let path = dir.join(file::KEYS);
    let bytes = std::fs::read(&path).map_err(Error::file("read", &path))?;
    let artifact_type = RING_TYPE.to_owned();
    Ok(Attachment { bytes: bytes.into(), artifact_type, annotations: BTreeMap::new() })
}
