//! Whatever is changed, wherever, is found and named.

use super::super::tile::bundle_bytes;
use super::*;

const COUNT: u64 = 600;

/// A log with its rows, and the heads that were signed on its way.
struct Log {
    objects: BTreeMap<String, Vec<u8>>,
    rows: Vec<(u64, String)>,
    newest: Head,
    others: Vec<Head>,
}

fn entry(place: u64) -> String {
    format!(r#"{{"action":"cancel","actor":"ada","id":"cmd_{place}"}}"#)
}

fn log() -> Log {
    let (mut edge, mut objects, mut others) = (Edge::default(), BTreeMap::new(), Vec::new());
    for size in [100, 256, 400, COUNT] {
        let first = edge.size() / 256 * 256;
        let entries: Vec<_> = (first..size).map(|place| entry(place).into_bytes()).collect();
        let kept = usize::try_from(edge.size() - first).unwrap();
        for change in edge.grow(&entries, kept).unwrap() {
            objects.insert(change.tile.to_string(), change.bytes);
        }
        others.push(edge.head());
    }
    let rows = (0..COUNT).map(|place| (place, entry(place))).collect();
    Log { objects, rows, newest: others.pop().unwrap(), others }
}

impl Log {
    fn check(&self) -> Vec<Finding> {
        let mut check = Check::new(self.newest, &self.others);
        let mut next = 0;
        while let Some((bundle, tile)) = check.next() {
            let end = next + 256;
            let in_range =
                |(place, _): &&(u64, String)| (next..end.min(self.newest.size)).contains(place);
            let rows: Vec<Row<'_>> = self
                .rows
                .iter()
                .filter(in_range)
                .map(|(place, text)| (*place, text.as_str()))
                .collect();
            let get = |path: &Tile| self.objects.get(&path.to_string()).map(Vec::as_slice);
            let part = Part { bundle: get(&bundle), tile: get(&tile), rows: &rows };
            let Some(changes) = check.add(part) else { break };
            for change in changes {
                check.tile(&change, get(&change.tile));
            }
            next = end;
        }
        for (place, text) in self.rows.iter().filter(|(place, _)| *place >= self.newest.size) {
            check.beyond((*place, text));
        }
        check.finish()
    }

    fn change_bundle(&mut self, place: u64, to: &str) {
        let index = place / 256;
        let bundle = Tile::within(Kind::Entries, index, COUNT).unwrap();
        let bytes = self.objects[&bundle.to_string()].clone();
        let mut entries = bundle.entries(&bytes).unwrap();
        entries[usize::try_from(place % 256).unwrap()] = to.as_bytes();
        self.objects.insert(bundle.to_string(), bundle_bytes(entries).unwrap());
    }

    fn change_tile(&mut self, place: u64, to: Digest) {
        let tile = Tile::within(Kind::Hashes(0), place / 256, COUNT).unwrap();
        let bytes = self.objects.get_mut(&tile.to_string()).unwrap();
        let at = usize::try_from(place % 256).unwrap() * 32;
        bytes[at..at + 32].copy_from_slice(to.as_bytes());
    }
}

fn id(place: u64) -> Option<String> {
    Some(format!("cmd_{place}"))
}

fn forged(place: u64) -> String {
    entry(place).replace("ada", "eve")
}

#[test]
fn nothing_is_found_in_a_log_that_nobody_touched() {
    assert_eq!(log().check(), []);
}

#[test]
fn a_row_that_was_changed_is_named_with_its_field() {
    let mut log = log();
    log.rows[300].1 = forged(300);
    let fields = vec!["actor".to_owned()];
    assert_eq!(log.check(), [Finding::Changed { place: 300, id: id(300), at: Where::Row, fields }]);
}

#[test]
fn a_row_that_was_dropped_is_named() {
    let mut log = log();
    log.rows.remove(599);
    assert_eq!(log.check(), [Finding::Dropped { place: 599, id: id(599) }]);
}

#[test]
fn rows_that_were_swapped_are_named_with_where_they_went() {
    let mut log = log();
    (log.rows[3].1, log.rows[500].1) = (entry(500), entry(3));
    assert_eq!(
        log.check(),
        [
            Finding::Reordered { place: 3, id: id(3), now: 500 },
            Finding::Reordered { place: 500, id: id(500), now: 3 },
        ]
    );
}

#[test]
fn rows_that_were_added_are_named() {
    let mut log = log();
    log.rows.insert(7, (6, entry(9_999)));
    log.rows.push((COUNT + 50, entry(7_777)));
    assert_eq!(
        log.check(),
        [
            Finding::Added { place: 6, id: id(9_999) },
            Finding::Added { place: COUNT + 50, id: id(7_777) },
        ]
    );
}

#[test]
fn an_entry_that_was_changed_in_object_storage_is_named_by_where() {
    let mut bundle = log();
    bundle.change_bundle(257, &forged(257));
    let fields = vec!["actor".to_owned()];
    assert_eq!(
        bundle.check(),
        [Finding::Changed { place: 257, id: id(257), at: Where::Bundle, fields: fields.clone() }]
    );
    let mut tile = log();
    tile.change_tile(257, leaf(b"x"));
    assert_eq!(
        tile.check(),
        [Finding::Changed { place: 257, id: id(257), at: Where::Tile, fields: vec![] }]
    );
    let mut both = log();
    both.change_bundle(257, &forged(257));
    both.change_tile(257, leaf(forged(257).as_bytes()));
    let at_both = |at, fields| Finding::Changed { place: 257, id: id(257), at, fields };
    assert_eq!(both.check(), [at_both(Where::Bundle, fields), at_both(Where::Tile, vec![])]);
}

#[test]
fn an_entry_that_was_changed_everywhere_is_found_between_two_signed_heads() {
    let mut log = log();
    log.change_bundle(300, &forged(300));
    log.change_tile(300, leaf(forged(300).as_bytes()));
    log.rows[300].1 = forged(300);
    let forks = [400, COUNT].map(|size| Finding::Forked { after: 256, size });
    let found = log.check();
    assert_eq!(found[..2], forks);
    // Whoever did that forgot the tile above.
    assert_eq!(found[2..], [Finding::Tile { path: "tile/1/000.p/2".into() }]);
}

#[test]
fn a_fork_and_a_checkpoint_that_was_rolled_back_are_found() {
    let mut forked = log();
    forked.others[2].root = leaf(b"another");
    assert_eq!(forked.check(), [Finding::Forked { after: 256, size: 400 }]);
    let mut back = log();
    let newest = back.newest;
    (back.newest, back.others[2]) = (back.others[2], newest);
    back.objects.insert("tile/0/001.p/144".into(), tile_of(256..400));
    let found = back.check();
    assert_eq!(found[0], Finding::RolledBack { newest: 400, signed: COUNT });
}

fn tile_of(places: std::ops::Range<u64>) -> Vec<u8> {
    let hashes: Vec<_> = places.map(|place| leaf(entry(place).as_bytes())).collect();
    super::super::tile::tile_bytes(&hashes)
}

#[test]
fn objects_that_are_gone_or_spoiled_are_named_and_the_rest_is_compared() {
    let mut log = log();
    log.objects.remove("tile/entries/001");
    log.objects.insert("tile/1/000.p/2".into(), vec![0; 64]);
    log.rows[599].1 = forged(599);
    let found = log.check();
    assert_eq!(found[0], Finding::Unreadable { path: "tile/entries/001".into() });
    assert!(matches!(&found[1], Finding::Changed { place: 599, at: Where::Row, .. }), "{found:?}");
}

#[test]
fn an_empty_log_has_nothing_to_compare() {
    let empty = Head { size: 0, root: super::super::hash::empty() };
    assert_eq!(Check::new(empty, &[]).finish(), []);
    let other = Head { size: 0, root: leaf(b"x") };
    assert_eq!(Check::new(other, &[]).finish(), [Finding::Forked { after: 0, size: 0 }]);
}
