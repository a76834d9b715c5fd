//! Which artifact may go where: summaries that were signed after the manifest, each about an artifact of
//! it. That one is missing is not seen: nobody has to promote anything.

use std::path::Path;

use maestro_schemas::digest::Digest;
use serde::Serialize;

use super::files::{Folder, Listing, read};
use super::{Finding, Manifest, PROMOTION, verified};
use crate::dsse::BUNDLE_BYTES_MAX;
use crate::key::ring::Trust;
use crate::moment::Moment;
use crate::statement::Statement;
use crate::statement::run::file;
use crate::statement::summary::{MANIFEST_URI, PASSED, PROMOTION_PREFIX, Summary};

/// The most summaries of a directory.
pub const PROMOTIONS_MAX: usize = 1_000;

/// What a summary's file ends with.
const SUFFIX: &str = ".sigstore.json";

/// That an artifact may go to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promoted {
    /// Where to.
    pub environment: String,
    /// The artifact.
    pub artifact: Digest,
    /// When its evidence was verified.
    pub at: Moment,
    /// The digest of the policies that permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// The levels that were found.
    pub levels: Vec<String>,
    /// The key that signed it.
    pub key: String,
    /// The summary's file.
    pub statement: String,
}

/// The summaries.
pub(super) const FILES: Folder = Folder { name: file::PROMOTIONS, suffix: SUFFIX };

/// Checks every summary, and tells of those that hold; where one artifact is asked about, of its own.
pub(super) fn check(
    directory: &Path,
    manifest: &Manifest,
    (listing, asked): (&Listing, Option<Digest>),
    finding: &mut Finding,
) {
    let is_of_manifest = |summary: &Summary| {
        let mut read = summary.input_attestations.iter().filter(|one| one.uri == MANIFEST_URI);
        match read.any(|one| one.digest.as_sha256() == Some(manifest.digest)) {
            true => Ok(()),
            false => Err("it was signed over another manifest than the one here".to_owned()),
        }
    };
    let artifacts: Vec<Digest> = listing.artifacts().map(|(_, digest)| digest).collect();
    let names = FILES.paths(directory, PROMOTIONS_MAX);
    if names.len() > PROMOTIONS_MAX {
        finding.fail(PROMOTION, file::PROMOTIONS, format!("more than {PROMOTIONS_MAX} summaries"));
    }
    for name in names {
        let bytes = read(&directory.join(&name), BUNDLE_BYTES_MAX as u64).unwrap_or_default();
        match promoted(&bytes, &manifest.trust, is_of_manifest, &name) {
            Ok(one) if artifacts.contains(&one.artifact) => {
                let is_asked = asked.is_none_or(|asked| asked == one.artifact);
                finding.promotions.extend(Some(one).filter(|_| is_asked));
            }
            Ok(one) => {
                let what = format!("it is about {}, which is no artifact here", one.artifact);
                finding.fail(PROMOTION, name, what);
            }
            Err(what) => finding.fail(PROMOTION, name, what),
        }
    }
}

/// What a summary says, where it holds and `check` finds nothing wrong with what it was signed over.
pub(super) fn promoted(
    bundle: &[u8],
    trust: &Trust,
    check: impl Fn(&Summary) -> Result<(), String>,
    path: &str,
) -> Result<Promoted, String> {
    let at = |statement: &Statement<Summary>| Some(statement.predicate.time_verified);
    let (key, statement) = verified(bundle, trust, at)?;
    let Statement { subject, predicate: summary, .. } = statement;
    let [subject] = subject.as_slice() else {
        return Err(format!("it is about {} things, not one", subject.len()));
    };
    let artifact = subject.digest.as_sha256().ok_or("its subject has no SHA-256")?;
    let environment = summary.resource_uri.strip_prefix(PROMOTION_PREFIX);
    let environment = environment.ok_or("it names no environment")?.to_owned();
    if summary.verification_result != PASSED {
        return Err(format!("its result is {:?}, not {PASSED:?}", summary.verification_result));
    }
    check(&summary)?;
    Ok(Promoted {
        environment,
        artifact,
        at: summary.time_verified,
        policy: summary.policy.digest.as_sha256(),
        levels: summary.verified_levels,
        key: key.to_string(),
        statement: path.to_owned(),
    })
}
