//! What statements say a beginning of: that something was made from itself says not what made it first.

use std::collections::BTreeSet;

use maestro_schemas::digest::Digest;

use super::Statement;
use super::provenance::Provenance;

/// What a statement is about, and what steps made for that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// What it is about.
    pub made: BTreeSet<Digest>,
    /// What steps made for that.
    pub from: BTreeSet<Digest>,
}

impl Link {
    /// What a statement says of it.
    pub fn of(statement: &Statement<Provenance>) -> Self {
        let made = statement.subject.iter().filter_map(|subject| subject.digest.as_sha256());
        let from = statement.predicate.from_steps().filter_map(|source| source.digest.as_sha256());
        Self { made: made.collect(), from: from.collect() }
    }
}

/// What of all that these are about can have been made by them. What none of them is about was made before,
/// and so was what is `known` from elsewhere.
pub fn begun<'a>(
    links: impl IntoIterator<Item = &'a Link>,
    known: &BTreeSet<Digest>,
) -> BTreeSet<Digest> {
    let mut waiting: Vec<&Link> = links.into_iter().collect();
    let about: BTreeSet<Digest> =
        waiting.iter().flat_map(|link| link.made.iter().copied()).collect();
    let mut begun = BTreeSet::new();
    loop {
        let before = waiting.len();
        waiting.retain(|link| {
            let is_there =
                |it: &Digest| begun.contains(it) || known.contains(it) || !about.contains(it);
            let is_made = link.from.iter().all(is_there);
            if is_made {
                begun.extend(link.made.iter().copied());
            }
            !is_made
        });
        if waiting.len() == before {
            return begun;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(names: &[&str]) -> BTreeSet<Digest> {
        names.iter().map(|name| Digest::of(name.as_bytes())).collect()
    }

    fn found(links: &[(&[&str], &[&str])], known: &[&str]) -> BTreeSet<Digest> {
        let links: Vec<Link> = links
            .iter()
            .map(|(made, from)| Link { made: digests(made), from: digests(from) })
            .collect();
        begun(&links, &digests(known))
    }

    #[test]
    fn what_is_made_from_nothing_of_these_has_a_beginning_in_whatever_order() {
        let links: [(&[&str], &[&str]); 3] =
            [(&["image"], &["app"]), (&["app", "map"], &["source"]), (&["app"], &["app"])];
        assert_eq!(found(&links, &[]), digests(&["app", "image", "map"]));
    }

    #[test]
    fn what_is_only_handed_on_has_none_unless_it_is_known_from_elsewhere() {
        let copied: (&[&str], &[&str]) = (&["app"], &["app"]);
        let image: (&[&str], &[&str]) = (&["image"], &["app"]);
        let packed: (&[&str], &[&str]) = (&["packed"], &["app"]);
        let unpacked: (&[&str], &[&str]) = (&["app"], &["packed"]);
        assert_eq!(found(&[copied, image], &[]), digests(&[]));
        assert_eq!(found(&[copied, image], &["app"]), digests(&["app", "image"]));
        assert_eq!(found(&[packed, unpacked], &[]), digests(&[]));
        assert_eq!(found(&[packed, unpacked], &["app"]), digests(&["app", "packed"]));
    }
}
