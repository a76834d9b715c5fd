//! How an image was made, by what is attached to it in a registry: bundles and lists of keys.
//!
//! Whoever may write to the repository may attach anything. What is no bundle of ours, and what is signed
//! by keys that no list has, is passed over; what names one of the list's keys has to hold.

use std::collections::BTreeSet;

use maestro_schemas::digest::Digest;

use super::chain::{Stated, links};
use super::promotions::promoted;
use super::{Finding, PROMOTION, Question, SIGNATURE, trusted, verified};
use crate::dsse::Sealed;
use crate::key::ring::Trust;
use crate::statement::provenance::Provenance;
use crate::statement::summary::Summary;
use crate::statement::{Predicate, Statement, predicate_type};

/// The most bundles of an image that are read.
pub const BUNDLES_MAX: usize = 200;

/// A bundle that is attached to an image.
#[derive(Debug, Clone)]
pub struct Attached {
    /// What it is called in what is told: the digest of its manifest.
    pub name: String,
    /// The bundle.
    pub bytes: Vec<u8>,
}

/// The newest of the lists of keys that are whole, of the root that is asked for.
///
/// # Errors
/// In words, where there is none, or where nobody says which of several roots is meant.
pub fn newest_list(lists: Vec<Vec<u8>>, root: Option<Digest>) -> Result<Vec<u8>, String> {
    let read = lists.into_iter().filter_map(|bytes| {
        let trust = Trust::open(&bytes, None).ok()?;
        Some((trust.ring().made_at, trust.root().fingerprint(), bytes))
    });
    let fits: Vec<_> = read.filter(|(_, own, _)| root.is_none_or(|root| root == *own)).collect();
    let roots: BTreeSet<String> = fits.iter().map(|(_, own, _)| own.to_string()).collect();
    if roots.len() > 1 {
        let roots: Vec<String> = roots.into_iter().collect();
        return Err(format!("lists of keys of several roots are attached: {}", roots.join(", ")));
    }
    let newest = fits.into_iter().max_by_key(|(made_at, ..)| *made_at);
    newest.map(|(.., bytes)| bytes).ok_or_else(|| "no list of keys is attached".to_owned())
}

/// Verifies the image `question.artifact` by a signed list of keys and what is attached.
pub fn image(keys: &[u8], attached: &[Attached], question: &Question) -> Finding {
    let mut finding = Finding::default();
    if let (Some(trust), Some(digest)) = (trusted(keys, question, &mut finding), question.artifact)
    {
        let stated = sort(attached, &trust, digest, &mut finding);
        finding.chain = links([(digest.to_string(), digest)], &stated, &mut finding);
        // Others' statements are about other things, and nobody asks after those.
        let named: BTreeSet<&str> =
            finding.chain.iter().map(|link| link.statement.as_str()).collect();
        let named: Vec<&Stated> =
            stated.iter().filter(|stated| named.contains(stated.path.as_str())).collect();
        finding.statements = named.len();
        let mut about = named.iter().filter(|stated| stated.is_about(digest));
        finding.key = about.clone().next().map(|stated| stated.key.clone());
        about.by_ref().for_each(|stated| question.expect.of_run_by(stated, &mut finding));
        question.expect.of_statements(&named, &mut finding);
    }
    finding.verified = finding.failures.is_empty() && !finding.chain.is_empty();
    finding
}

/// Statements of how things were made, whose signatures hold; summaries go into the finding.
fn sort(attached: &[Attached], trust: &Trust, image: Digest, finding: &mut Finding) -> Vec<Stated> {
    let mut stated = Vec::new();
    for Attached { name, bytes } in attached.iter().take(BUNDLES_MAX) {
        let Ok(sealed) = Sealed::parse(bytes) else { continue };
        if !trust.has(sealed.key()) {
            continue;
        }
        match predicate_type(sealed.unverified()).as_deref() {
            Some(Provenance::TYPE) => {
                let signed_on = |statement: &Statement<Provenance>| {
                    Some(statement.predicate.build_definition.internal_parameters.signed_on)
                };
                match verified(bytes, trust, signed_on) {
                    Ok((key, statement)) => {
                        let (path, key) = (name.clone(), key.to_string());
                        stated.push(Stated { path, key, statement });
                    }
                    Err(what) => finding.fail(SIGNATURE, name, what),
                }
            }
            Some(Summary::TYPE) => match promoted(bytes, trust, None, name) {
                Ok(one) => finding.promotions.extend(Some(one).filter(|one| one.artifact == image)),
                Err(what) => finding.fail(PROMOTION, name, what),
            },
            _ => {}
        }
    }
    stated
}
