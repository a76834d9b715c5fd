//! `maestro evidence attach`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use maestro_build::container::registry::{self, Attachment, Repository};
use maestro_evidence::dsse::{BUNDLE_MEDIA_TYPE, Sealed};
use maestro_evidence::key::ring::{RING_TYPE, Trust};
use maestro_evidence::statement::predicate_type;
use maestro_evidence::statement::run::file;
use maestro_evidence::verify::image::{BUNDLE_BYTES_MAX, BUNDLES_MAX};
use maestro_evidence::verify::{Failure, Finding, Question, directory};
use maestro_schemas::digest::Digest;
use serde_json::json;

use super::image::{self, Access, ImageName, To};
use super::write;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// What cannot be done, where it cannot.
const ATTACH: &str = "attach the image's evidence";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Attached are, each as a referrer of the image: the statements of how it was made, back to its sources;
the summaries of its promotions; and the signed list of keys. All are Sigstore bundles of version 0.3.
They are verified before, and attaching them again changes nothing. Where they do not hold, only a list of
keys that revokes one is attached. A registry that does not list referrers gets a list under the tag
`sha256-…`.

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
    let (repository, digest) = image::find(&args.image, &args.access, To::Write).await?;
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
    let finding = find(&dir, digest).await?;
    if let Some(failure) = finding.failures.first() {
        let told = tell_revoked(&repository, digest, &dir).await?;
        return Err(refusal(failure, told));
    }
    let mut attachments = bundles(&dir, &finding)?;
    attachments.push(keys(&dir)?);
    let count = attachments.len() - 1;
    let mut listed = true;
    for attachment in attachments {
        listed &= registry::attach(&repository, digest, &attachment).await?.listed;
    }
    if output.is_json() {
        output.json(&json!({
            "image": digest, "statements": count, "root": finding.root,
            "root_is_known": finding.root_is_known, "listed": listed,
        }))?;
    } else {
        let (name, root) = (&args.image, finding.root.unwrap_or(digest));
        output.talk(&format!(
            "{count} statements are attached to {digest}; check them with `maestro verify {name} --root {root}`, where that is the root that you know: here it is the evidence's own word"
        ));
    }
    Ok(Exit::Ok)
}

/// What the directory says of the image.
async fn find(dir: &Path, image: Digest) -> Result<Finding, Error> {
    let question = Question { artifact: Some(image), ..Question::default() };
    let place = dir.to_owned();
    let verifying = tokio::task::spawn_blocking(move || directory(&place, &question));
    verifying.await.map_err(|error| Error::service("verify", error))
}

/// Attaches the list of keys where one of them is revoked: what it signed may be attached since before, and
/// whoever verifies that is to know. Gives whether it is attached.
async fn tell_revoked(repository: &Repository, image: Digest, dir: &Path) -> Result<bool, Error> {
    let list = keys(dir)?;
    let revokes = Trust::open(&list.bytes, None)
        .is_ok_and(|trust| trust.ring().keys.iter().any(|key| key.revoked.is_some()));
    if revokes {
        registry::attach(repository, image, &list).await?;
    }
    Ok(revokes)
}

fn refusal(failure: &Failure, told: bool) -> Error {
    let what = format!("{} {}: {}", failure.code, failure.file, failure.what);
    let what = match told {
        true => format!("{what}; only the list of keys is attached, which says what is revoked"),
        false => what,
    };
    Error::service("attach what does not hold", what)
}

/// The statements of the image's chain and the summaries about it, each once.
fn bundles(dir: &Path, finding: &Finding) -> Result<Vec<Attachment>, Error> {
    let made = finding.chain.iter().map(|link| &link.statement);
    let promoted = finding.promotions.iter().map(|one| &one.statement);
    let names: BTreeSet<&String> = made.chain(promoted).collect();
    if names.len() > BUNDLES_MAX {
        let what = format!("{} statements, more than {BUNDLES_MAX}", names.len());
        return Err(Error::service(ATTACH, what));
    }
    let of = |name: &String| {
        let bytes = read(&dir.join(name))?;
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
    names.into_iter().map(of).collect()
}

fn keys(dir: &Path) -> Result<Attachment, Error> {
    let bytes = read(&dir.join(file::KEYS))?;
    let artifact_type = RING_TYPE.to_owned();
    Ok(Attachment { bytes: bytes.into(), artifact_type, annotations: BTreeMap::new() })
}

/// A file, unless whoever verifies would pass it over.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let size = bytes.len();
    match size as u64 <= BUNDLE_BYTES_MAX {
        true => Ok(bytes),
        false => {
            let what = format!("{} has {size} bytes, more than {BUNDLE_BYTES_MAX}", path.display());
            Err(Error::service(ATTACH, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use maestro_evidence::verify::chain::Link;

    use super::*;

    fn link(statement: &str) -> Link {
        let digest = Digest::of(b"x");
        let text = || "x".to_owned();
        Link {
            made: text(),
            digest,
            project: text(),
            pipeline: text(),
            by: text(),
            builder: text(),
            statement: statement.to_owned(),
            key: text(),
            from: Vec::new(),
        }
    }

    #[test]
    fn what_nobody_would_read_is_not_attached() {
        let dir = tempfile::tempdir().unwrap();
        let many = (0..=BUNDLES_MAX).map(|number| link(&number.to_string())).collect();
        let error = bundles(dir.path(), &Finding { chain: many, ..Finding::default() });
        let said = error.unwrap_err().render();
        assert!(said.contains("201 statements, more than 200"), "{said}");

        let big = std::fs::File::create(dir.path().join("big")).unwrap();
        big.set_len(BUNDLE_BYTES_MAX + 1).unwrap();
        let error =
            bundles(dir.path(), &Finding { chain: vec![link("big")], ..Finding::default() });
        let said = error.unwrap_err().render();
        assert!(said.contains("has 8388609 bytes, more than 8388608"), "{said}");
    }
}
