//! Known trees, and any tree against one that is made naively.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use maestro_schemas::digest::Digest;
use proptest::prelude::*;

use super::checkpoint;
use super::grow::{Change, Edge};
use super::hash::{Frontier, empty, leaf, node};
use super::note::{self, NoteKey};
use super::path::*;
use super::ticket::Ticket;
use super::tile::*;
use super::{ENTRY_BYTES_MAX, Error};
use crate::key::Signer as _;
use crate::key::local::LocalKey;

/// The eight entries that implementations of RFC 6962 are commonly tried with, and the trees of the
/// first of them.
const ENTRIES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const OF_5_IN_8: [&str; 3] = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];
const FROM_6_TO_8: [&str; 3] = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn known(digits: &str) -> Digest {
    format!("sha256:{digits}").parse().unwrap()
}

/// The tree as RFC 6962 defines it.
fn naive(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node(naive(left), naive(right))
        }
    }
}

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|n| leaf(format!("entry {n}").as_bytes())).collect()
}

fn entries(range: Range<usize>) -> Vec<Vec<u8>> {
    range.map(|n| format!("entry {n}").into_bytes()).collect()
}

fn over(leaves: &[Digest], range: &Range<u64>) -> Digest {
    naive(&leaves[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()])
}

fn proof(leaves: &[Digest], ranges: &[Range<u64>]) -> Vec<Digest> {
    ranges.iter().map(|range| over(leaves, range)).collect()
}

#[test]
fn the_known_trees_have_their_known_hashes_and_proofs() {
    let mut frontier = Frontier::default();
    assert_eq!(
        frontier.root(),
        known("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    let mut leaves = Vec::new();
    for (entry, root) in ENTRIES.iter().zip(ROOTS) {
        leaves.push(leaf(&bytes(entry)));
        frontier.push(*leaves.last().unwrap());
        assert_eq!((frontier.root(), naive(&leaves)), (known(root), known(root)));
    }
    let of_five = proof(&leaves, &inclusion(5, 8));
    assert_eq!(of_five, OF_5_IN_8.map(known));
    verify_inclusion(leaves[5], (5, 8), &of_five, known(ROOTS[7])).unwrap();
    let grown = proof(&leaves, &consistency(6, 8));
    assert_eq!(grown, FROM_6_TO_8.map(known));
    let head = |size: u64| Head { size, root: known(ROOTS[usize::try_from(size).unwrap() - 1]) };
    verify_consistency(head(6), head(8), &grown).unwrap();
}

#[test]
fn every_proof_in_every_small_tree_verifies_for_its_own_place_only() {
    let all = leaves(40);
    for size in 1..=40u64 {
        let root = over(&all, &(0..size));
        for index in 0..size {
            let one = all[usize::try_from(index).unwrap()];
            let proof = proof(&all, &inclusion(index, size));
            verify_inclusion(one, (index, size), &proof, root).unwrap();
            for other in (0..size + 2).filter(|other| *other != index) {
                verify_inclusion(one, (other, size), &proof, root).unwrap_err();
            }
            let longer = [proof.clone(), vec![one]].concat();
            verify_inclusion(one, (index, size), &longer, root).unwrap_err();
            if let Some((_, shorter)) = proof.split_last() {
                verify_inclusion(one, (index, size), shorter, root).unwrap_err();
            }
        }
        for old in 0..=size {
            let before = Head { size: old, root: over(&all, &(0..old)) };
            let now = Head { size, root };
            let grown = proof(&all, &consistency(old, size));
            verify_consistency(before, now, &grown).unwrap();
            let another = Head { root: leaf(b"another"), ..before };
            verify_consistency(another, now, &grown).unwrap_err();
            if old < size {
                verify_consistency(now, before, &grown).unwrap_err();
            }
        }
    }
}

/// A log's objects by path, grown in steps, with its edge.
fn grown(steps: &[usize]) -> (BTreeMap<String, Vec<u8>>, Edge) {
    let (mut objects, mut edge) = (BTreeMap::new(), Edge::default());
    for step in steps {
        let size = usize::try_from(edge.size()).unwrap();
        let first = size / 256 * 256;
        for Change { tile, bytes } in edge.grow(&entries(first..size + step), size - first).unwrap()
        {
            objects.insert(tile.to_string(), bytes);
        }
    }
    (objects, edge)
}

fn node_by_tiles(objects: &BTreeMap<String, Vec<u8>>, node: Node, size: u64) -> Digest {
    let (tile, of) = holding(node, size).unwrap();
    subtree(&tile.hashes(&objects[&tile.to_string()]).unwrap(), of).unwrap()
}

#[test]
fn however_a_tree_grows_its_tiles_hold_the_whole_of_it() {
    for steps in [vec![1], vec![255, 1, 1], vec![256], vec![100, 700], vec![66_000, 5], vec![3; 90]]
    {
        let (objects, edge) = grown(&steps);
        let all = leaves(steps.iter().sum());
        let size = edge.size();
        assert_eq!(edge.head(), Head { size: all.len() as u64, root: naive(&all) }, "{steps:?}");
        for index in [0, size / 3, size / 2, size - 1] {
            let by_tiles: Vec<Digest> = inclusion(index, size)
                .iter()
                .map(|range| {
                    let nodes = subtrees(range).into_iter();
                    let hashes: Vec<_> =
                        nodes.map(|node| node_by_tiles(&objects, node, size)).collect();
                    fold(&hashes).unwrap()
                })
                .collect();
            let one = all[usize::try_from(index).unwrap()];
            verify_inclusion(one, (index, size), &by_tiles, edge.head().root).unwrap();
            let bundle = Tile::within(Kind::Entries, index / 256, size).unwrap();
            let read = bundle.entries(&objects[&bundle.to_string()]).unwrap();
            assert_eq!(leaf(read[usize::try_from(index % 256).unwrap()]), one);
        }
        let hashes = Edge::tiles(size).into_iter();
        let hashes: BTreeMap<Tile, Vec<Digest>> =
            hashes.map(|tile| (tile, tile.hashes(&objects[&tile.to_string()]).unwrap())).collect();
        assert_eq!(Edge::read(edge.head(), &hashes).unwrap(), edge);
        let another = Head { root: leaf(b"another"), ..edge.head() };
        assert!(matches!(Edge::read(another, &hashes), Err(Error::Root { .. })));
    }
}

#[test]
fn a_tree_that_grew_in_other_steps_has_the_same_full_tiles() {
    let (one, _) = grown(&[600]);
    let (other, _) = grown(&[1, 254, 2, 300, 43]);
    for (path, bytes) in one {
        assert_eq!(other[&path], bytes, "{path}");
    }
}

#[test]
fn paths_are_those_of_the_format_and_no_others() {
    let tile = |kind, index, width| Tile { kind, index, width };
    for (path, expected) in [
        ("tile/0/000", tile(Kind::Hashes(0), 0, 256)),
        ("tile/1/x001/x234/067", tile(Kind::Hashes(1), 1_234_067, 256)),
        ("tile/entries/x001/000.p/8", tile(Kind::Entries, 1_000, 8)),
    ] {
        assert_eq!(Tile::parse(path), Some(expected));
        assert_eq!(expected.to_string(), path);
    }
    for path in [
        "",
        "tile/0/0",
        "tile/8/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/08",
        "tile/entries/../000",
        "/tile/0/000",
        "tile/+0/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
}

#[test]
fn the_specifications_example_has_the_tiles_that_it_says() {
    let widths = |level| {
        let last = (70_000u64 >> (8 * level)) / 256;
        Tile::within(Kind::Hashes(level), last, 70_000).map(|tile| (tile.index, tile.width))
    };
    assert_eq!(
        [widths(0), widths(1), widths(2), widths(3)],
        [Some((273, 112)), Some((1, 17)), Some((0, 1)), None]
    );
    let edge: Vec<String> = Edge::tiles(256).iter().map(ToString::to_string).collect();
    assert_eq!(edge, ["tile/1/000.p/1"]);
}

#[test]
fn a_bundle_that_is_cut_longer_or_of_another_width_is_refused() {
    let some = entries(0..3);
    let whole = bundle_bytes(some.iter().map(Vec::as_slice)).unwrap();
    let bundle = Tile { kind: Kind::Entries, index: 0, width: 3 };
    assert_eq!(bundle.entries(&whole).unwrap(), some);
    for wrong in
        [&whole[..whole.len() - 1], &whole[1..], &[whole.clone(), vec![0, 0]].concat(), &[]]
    {
        assert!(matches!(bundle.entries(wrong), Err(Error::Bundle { .. })));
    }
    let long = vec![0; ENTRY_BYTES_MAX + 1];
    assert_eq!(bundle_bytes([long.as_slice()]), Err(Error::EntryTooLong(long.len())));
}

const NAME: &str = "log.example/audit";

fn note_of(text: &str, name: &str, key: &LocalKey) -> String {
    let signature = key.sign(text.as_bytes()).now_or_never().unwrap().unwrap();
    note::signed(text, (name, key.public()), &signature).unwrap()
}

fn signed(head: Head, key: &LocalKey) -> String {
    note_of(&checkpoint::text(NAME, head), NAME, key)
}

#[test]
fn every_flipped_bit_of_a_proof_is_found() {
    let local = LocalKey::generate().unwrap();
    let key = NoteKey { name: NAME, keys: &[local.public().clone()] };
    let all = leaves(300);
    let head = Head { size: 300, root: naive(&all) };
    let proof = proof(&all, &inclusion(77, 300));
    let ticket =
        Ticket { entry: b"entry 77".to_vec(), index: 77, proof, checkpoint: signed(head, &local) };
    let text = ticket.text();
    assert_eq!(Ticket::parse(&text).unwrap(), ticket);
    assert_eq!(ticket.verify(&key).unwrap(), head);
    let mut flipped = text.clone().into_bytes();
    for at in 0..flipped.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            let read = std::str::from_utf8(&flipped).ok().and_then(|text| Ticket::parse(text).ok());
            let verified = read.map(|ticket| ticket.verify(&key));
            assert!(!matches!(verified, Some(Ok(_))), "byte {at}, bit {bit}");
            flipped[at] ^= 1 << bit;
        }
    }
}

#[test]
fn signatures_of_others_are_passed_over_and_a_broken_one_of_a_key_is_not() {
    let [local, former, witness] = [(); 3].map(|()| LocalKey::generate().unwrap());
    let keys = [local.public().clone(), former.public().clone()];
    let key = NoteKey { name: NAME, keys: &keys };
    let head = Head { size: 3, root: naive(&leaves(3)) };
    let note = signed(head, &local);
    let line = |note: String| note.split_once("\n\n").unwrap().1.to_owned();
    let text = checkpoint::text(NAME, head);
    for other in [
        note_of(&text, "witness.example", &witness),
        note_of(&text, "witness.example", &local),
        note_of(&text, NAME, &witness),
    ] {
        let witnessed = note.clone() + &line(other.clone());
        assert_eq!(checkpoint::open(&witnessed, &key), Ok(head));
        assert!(matches!(checkpoint::open(&other, &key), Err(Error::Signature { .. })));
    }
    assert_eq!(checkpoint::open(&signed(head, &former), &key), Ok(head));
    let broken = note + &line(note_of("another text\n", NAME, &former));
    assert!(matches!(checkpoint::open(&broken, &key), Err(Error::Signature { .. })));
}

#[test]
fn a_keys_id_is_the_beginning_of_the_hash_of_its_der_form() {
    let local = LocalKey::generate().unwrap();
    let head = Head { size: 0, root: empty() };
    let note = signed(head, &local);
    let bytes = STANDARD.decode(note.trim_end().rsplit(' ').next().unwrap()).unwrap();
    assert_eq!(bytes[..4], Digest::of(local.public().der()).as_bytes()[..4]);
    assert!(local.public().verifies(checkpoint::text(NAME, head).as_bytes(), &bytes[4..]));
}

#[test]
fn a_checkpoint_of_another_log_and_one_that_is_none_are_refused() {
    let local = LocalKey::generate().unwrap();
    let key = NoteKey { name: NAME, keys: &[local.public().clone()] };
    let root = naive(&leaves(3));
    let sign = |text: &str| note_of(text, NAME, &local);
    let other = sign(&checkpoint::text("log.example/other", Head { size: 3, root }));
    assert!(matches!(checkpoint::open(&other, &key), Err(Error::Origin { .. })));
    let hash = "4OPyNIFXxAYyvCDHsmTQyR0tWUmzAHqPQ1SkTyTQ/i4=";
    for text in [
        "log.example/audit\n",
        "log.example/audit\n03\nAAAA\n",
        "log.example/audit\n-1\nAAAA\n",
        "log.example/audit\n3\nAAAA\n",
        &format!("\n3\n{hash}\n"),
    ] {
        let opened = checkpoint::open(&sign(text), &key);
        assert!(
            matches!(opened, Err(Error::Checkpoint(_) | Error::Note(_))),
            "{text:?}: {opened:?}"
        );
    }
    for note in
        ["", "\n\n", "a\n\n\u{2014} b", "a\n\n\u{2014} b AAAA\n", "a\tb\n\n\u{2014} x AAAAAAAA\n"]
    {
        assert!(matches!(checkpoint::open(note, &key), Err(Error::Note(_))), "{note:?}");
    }
}

proptest! {
    #[test]
    fn any_tree_is_the_one_that_the_definition_makes(
        steps in prop::collection::vec(1usize..400, 1..6), at in any::<prop::sample::Index>(),
        old in any::<prop::sample::Index>(),
    ) {
        let (objects, edge) = grown(&steps);
        let (size, all) = (edge.size(), leaves(steps.iter().sum()));
        prop_assert_eq!(edge.head().root, naive(&all));
        let (at, old) = (at.index(all.len()) as u64, old.index(all.len()) as u64);
        let by_tiles = |ranges: Vec<Range<u64>>| -> Vec<Digest> {
            let hash = |range: &Range<u64>| {
                let nodes = subtrees(range).into_iter();
                let hashes: Vec<_> = nodes.map(|node| node_by_tiles(&objects, node, size)).collect();
                fold(&hashes).unwrap()
            };
            ranges.iter().map(hash).collect()
        };
        let one = all[usize::try_from(at).unwrap()];
        let shown = by_tiles(inclusion(at, size));
        prop_assert!(verify_inclusion(one, (at, size), &shown, edge.head().root).is_ok());
        prop_assert!(verify_inclusion(leaf(b"x"), (at, size), &shown, edge.head().root).is_err());
        let before = Head { size: old, root: over(&all, &(0..old)) };
        let shown = by_tiles(consistency(old, size));
        prop_assert!(verify_consistency(before, edge.head(), &shown).is_ok());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Ticket::parse(&text);
        let _ = Ticket::parse(&format!("c2sp.org/tlog-proof@v1\nextra {text}\nindex 1\n{text}\n\n{text}"));
        let _ = checkpoint::parse(&text);
        let _ = Tile::parse(&text);
        let tile = Tile { kind: Kind::Entries, index: 0, width: 2 };
        let _ = (tile.entries(&bytes), tile.hashes(&bytes));
    }
}
