//! How an image was made, by what is attached to it in a registry: bundles and lists of keys.
//!
//! Whoever may write to the repository may attach anything, and take anything away. So what does not hold,
//! or is about something else, is passed over, and the rest has to be enough: a statement of the action that
//! builds images, and all that the image was made from, back to its sources. Where it is not enough, what
//! names a key of the list and does not hold is told too.

use std::collections::BTreeSet;

use maestro_schemas::digest::Digest;

use super::chain::{Stated, links_of};
use super::promotions::{Promoted, promoted};
use super::{BROKEN, Finding, PROMOTION, Question, SIGNATURE, trusted, verified};
use crate::dsse::Sealed;
use crate::key::ring::Trust;
use crate::statement::provenance::Provenance;
use crate::statement::summary::{STATEMENT_URI, Summary};
use crate::statement::{Predicate, Statement, predicate_type};

/// The most bundles of an image.
pub const BUNDLES_MAX: usize = 200;

/// The largest bundle, or list of keys, that is attached, in bytes.
pub const BUNDLE_BYTES_MAX: u64 = 8 << 20;

/// What builds images, before its version.
const ACTION: &str = "container.build@";
/// What it calls the image.
const ROLE: &str = "image";

/// A bundle that is attached to an image.
#[derive(Debug, Clone)]
pub struct Attached {
    /// What it is called in what is told: the digest of its manifest.
    pub name: String,
    /// The bundle.
    pub bytes: Vec<u8>,
}

/// The roots of the lists of keys that are whole, by their own word.
pub fn roots<'a>(lists: impl IntoIterator<Item = &'a Vec<u8>>) -> BTreeSet<Digest> {
    let whole = lists.into_iter().filter_map(|bytes| Trust::open(bytes, None).ok());
    whole.map(|trust| trust.root().fingerprint()).collect()
}

/// The newest of the lists of keys that are whole and of this root.
///
/// # Errors
/// In words, where there is none.
pub fn newest_list(
    lists: impl IntoIterator<Item = Vec<u8>>,
    root: Digest,
) -> Result<Vec<u8>, String> {
    let mut others = BTreeSet::new();
    let of_root = |bytes: Vec<u8>| {
        let trust = Trust::open(&bytes, None).ok()?;
        let own = trust.root().fingerprint();
        if own != root {
            others.insert(own);
            return None;
        }
        Some((trust.ring().made_at, bytes))
    };
    let newest = lists.into_iter().filter_map(of_root).max_by_key(|(made_at, _)| *made_at);
    newest.map(|(_, bytes)| bytes).ok_or_else(|| match spoken(&others) {
        none if none.is_empty() => "none is attached".to_owned(),
        others => format!("those that are attached are of {others}"),
    })
}

/// Some fingerprints, at most five of them, in words.
pub fn spoken(roots: &BTreeSet<Digest>) -> String {
    let mut said: Vec<String> = roots.iter().take(5).map(Digest::to_string).collect();
    said.extend((roots.len() > 5).then(|| format!("{} more", roots.len() - 5)));
    said.join(", ")
}

/// Verifies an image by a signed list of keys and what is attached.
pub fn image(digest: Digest, keys: &[u8], attached: &[Attached], question: &Question) -> Finding {
    let mut finding = Finding { image: Some(digest), ..Finding::default() };
    if attached.len() > BUNDLES_MAX {
        finding.fail(BROKEN, digest.to_string(), format!("more than {BUNDLES_MAX} bundles"));
    } else if let Some(trust) = trusted(keys, question, &mut finding) {
        finding.keys_made_on = Some(trust.ring().made_at);
        by(&trust, (digest, attached), question, &mut finding);
    }
    finding.verified = finding.failures.is_empty();
    finding
}

fn by(
    trust: &Trust,
    (digest, attached): (Digest, &[Attached]),
    question: &Question,
    finding: &mut Finding,
) {
    let (stated, mut refused) = statements(attached, trust);
    finding.chain = links_of(digest, &stated, finding);
    // Others' statements are about other things, and nobody asks after those.
    let named: BTreeSet<&str> = finding.chain.iter().map(|link| link.statement.as_str()).collect();
    let named: Vec<&Stated> =
        stated.iter().filter(|stated| named.contains(stated.path.as_str())).collect();
    finding.statements = named.len();
    let about = named.iter().filter(|stated| stated.made_as(digest).next().is_some());
    about.for_each(|stated| question.expect.of_run_by(stated, finding));
    let built: Vec<&&Stated> = named.iter().filter(|stated| is_built(stated, digest)).collect();
    finding.key = built.first().map(|stated| stated.key.clone());
    if built.is_empty() {
        let what = format!("no statement here says that {ACTION} made {digest}");
        finding.fail(BROKEN, digest.to_string(), what);
    }
    let read = built.iter().map(|stated| stated.bundle).collect();
    let (promotions, unbelieved) = summaries(attached, trust, (digest, &read));
    finding.promotions = promotions;
    refused.extend(unbelieved);
    question.expect.of_statements(&named, finding);
    if !finding.failures.is_empty() {
        refused.into_iter().for_each(|(code, name, what)| finding.fail(code, name, what));
    }
}

/// Whether a statement says that an image was built: that a step has its manifest as a file says nothing.
fn is_built(stated: &Stated, image: Digest) -> bool {
    let action = &stated.provenance().build_definition.internal_parameters.action;
    action.starts_with(ACTION) && stated.made_as(image).any(|role| role == ROLE)
}

/// Bundles of a kind that name a key of the list.
fn of_kind<'a>(
    attached: &'a [Attached],
    trust: &'a Trust,
    kind: &'static str,
) -> impl Iterator<Item = &'a Attached> {
    attached.iter().filter(move |one| {
        let sealed = Sealed::parse(&one.bytes).ok().filter(|sealed| trust.has(sealed.key()));
        sealed.and_then(|sealed| predicate_type(sealed.unverified())).as_deref() == Some(kind)
    })
}

/// What does not hold, by its code and its bundle's name, and why.
type Refused = (&'static str, String, String);

/// Statements of how things were made, whose signatures hold; and those whose do not.
fn statements(attached: &[Attached], trust: &Trust) -> (Vec<Stated>, Vec<Refused>) {
    let (mut stated, mut refused) = (Vec::new(), Vec::new());
    for Attached { name, bytes } in of_kind(attached, trust, Provenance::TYPE) {
        let signed_on = |statement: &Statement<Provenance>| {
            Some(statement.predicate.build_definition.internal_parameters.signed_on)
        };
        match verified(bytes, trust, signed_on) {
            Ok((key, statement)) => {
                let (path, bundle) = (name.clone(), Digest::of(bytes));
                stated.push(Stated { path, bundle, key: key.to_string(), statement });
            }
            Err(what) => refused.push((SIGNATURE, name.clone(), what)),
        }
    }
    (stated, refused)
}

/// Where the image may go, by summaries that were signed over one of the statements that it was built, and
/// the summaries that are not believed.
fn summaries(
    attached: &[Attached],
    trust: &Trust,
    (image, built): (Digest, &BTreeSet<Digest>),
) -> (Vec<Promoted>, Vec<Refused>) {
    let is_of_built = |summary: &Summary| {
        let mut read = summary.input_attestations.iter().filter(|it| it.uri == STATEMENT_URI);
        match read.any(|it| it.digest.as_sha256().is_some_and(|digest| built.contains(&digest))) {
            true => Ok(()),
            false => {
                Err("it was signed over no statement here that the image was built".to_owned())
            }
        }
    };
    let (mut promotions, mut refused) = (Vec::new(), Vec::new());
    for Attached { name, bytes } in of_kind(attached, trust, Summary::TYPE) {
        match promoted(bytes, trust, is_of_built, name) {
            Ok(one) if one.artifact == image => promotions.push(one),
            Ok(_) => {}
            Err(what) => refused.push((PROMOTION, name.clone(), what)),
        }
    }
    (promotions, refused)
}
