//! Content tags on identifiers that another library says are valid, in the texts that carry them, and
//! on texts that hold none. `cargo test -p maestro-router --test tags -- --nocapture` prints recall by
//! kind and by carrier.
//!
//! `../data/identifiers.tsv` holds made-up identifiers: random digits, kept where python-stdnum 2.2 calls
//! them valid. Secrets are made here, so that no file holds what looks like one.

#![cfg(test)]

mod carriers;
mod secrets;

use std::collections::BTreeMap;
use std::path::Path;

use carriers::{Carrier, LABELLED, UNLABELLED};
use maestro_router::tags::{Settings, Tag, Tags, tags};

const RECALL_MIN: f64 = 0.95;
const FALSE_HITS_PER_MB_MAX: f64 = 1.0;

struct Identifier {
    kind: &'static str,
    label: &'static str,
    value: &'static str,
}

fn identifiers() -> Vec<Identifier> {
    let lines = include_str!("../data/identifiers.tsv").lines();
    lines
        .map(|line| {
            let [kind, label, value] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            Identifier { kind, label, value }
        })
        .collect()
}

fn found(text: &str) -> Tags {
    tags(text, &Settings::default())
}

/// Knuth's MMIX generator, high bits.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn text(&mut self, signs: &str, len: usize) -> String {
        let signs: Vec<char> = signs.chars().collect();
        (0..len).map(|_| signs[self.roll(signs.len())]).collect()
    }
}

#[derive(Default)]
struct Recall {
    by: BTreeMap<String, (usize, usize)>,
}

impl Recall {
    fn note(&mut self, what: &str, hit: bool) {
        let (hits, all) = self.by.entry(what.to_owned()).or_default();
        *hits += usize::from(hit);
        *all += 1;
    }

    fn print(&self, title: &str) {
        eprintln!("\n{title}");
        for (what, (hits, all)) in &self.by {
            eprintln!("  {what:24} {:.3} of {all}", *hits as f64 / *all as f64);
        }
    }

    fn short(&self) -> Vec<&str> {
        let short = |(hits, all): &(usize, usize)| (*hits as f64) < RECALL_MIN * *all as f64;
        self.by.iter().filter(|(_, counts)| short(counts)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Whether the kind is found, and nothing that does not hold the value.
fn is_found(identifier: &Identifier, carrier: &Carrier) -> bool {
    let text = (carrier.write)(identifier.label, identifier.value);
    found(&text).hits.iter().any(|hit| {
        hit.tag == Tag::Pii && hit.kind == identifier.kind && text.get(hit.start..hit.end).is_some()
    })
}

#[test]
fn identifiers_are_found_in_every_carrier_that_says_what_they_are() {
    let (mut kinds, mut carriers, mut pairs) =
        (Recall::default(), Recall::default(), Recall::default());
    for identifier in identifiers() {
        for carrier in LABELLED {
            let hit = is_found(&identifier, carrier);
            kinds.note(identifier.kind, hit);
            carriers.note(carrier.name, hit);
            pairs.note(&format!("{} in {}", identifier.kind, carrier.name), hit);
        }
    }
    kinds.print("recall by kind, labelled");
    carriers.print("recall by carrier, labelled");
    eprintln!("\nbelow in a pair: {:?}", pairs.short());
    assert!(LABELLED.len() >= 20);
    assert_eq!(kinds.short(), [""; 0]);
    assert_eq!(carriers.short(), [""; 0]);
}

/// Those that say enough by themselves.
const ALONE: [&str; 23] = [
    "card",
    "iban",
    "mx_curp",
    "br_cpf",
    "br_cnpj",
    "de_steuer_id",
    "ch_ahv",
    "be_national_number",
    "fr_nir",
    "it_codice_fiscale",
    "es_dni",
    "es_nie",
    "no_fodselsnummer",
    "fi_hetu",
    "ee_isikukood",
    "pl_pesel",
    "ro_cnp",
    "ru_inn",
    "tr_kimlik",
    "in_aadhaar",
    "cn_resident_id",
    "kr_rrn",
    "za_id",
];

#[test]
fn strong_identifiers_are_found_where_nothing_says_what_they_are() {
    let mut kinds = Recall::default();
    for identifier in identifiers() {
        for carrier in LABELLED.iter().chain(UNLABELLED) {
            let bare = Identifier { label: "value", ..identifier };
            kinds.note(identifier.kind, is_found(&bare, carrier));
        }
    }
    kinds.print("recall by kind, where the label is `value`");
    let short = kinds.short();
    let missed: Vec<_> = ALONE.iter().filter(|kind| short.contains(kind)).collect();
    assert_eq!(missed, [&""; 0]);
}

#[test]
fn secrets_are_found_in_every_carrier() {
    let (mut kinds, mut carriers) = (Recall::default(), Recall::default());
    let mut dice = Dice(7);
    for _ in 0..20 {
        for (kind, label, value) in secrets::some(&mut dice) {
            for carrier in LABELLED.iter().filter(|carrier| carrier.keeps_case) {
                let text = (carrier.write)(label, &value);
                let hit = found(&text).hits.iter().any(|hit| hit.tag == Tag::Secret);
                kinds.note(kind, hit);
                carriers.note(carrier.name, hit);
            }
        }
    }
    kinds.print("recall by kind of secret");
    carriers.print("recall by carrier of secrets");
    assert_eq!(kinds.short(), [""; 0]);
}

#[test]
fn a_hit_covers_what_was_found_in_the_text_as_it_was_given() {
    let text = "é: card\u{a0}4111\u{2011}1111\u{2011}1111\u{2011}1111, ok";
    let hits = found(text).hits;
    assert_eq!(hits.len(), 1);
    assert_eq!(&text[hits[0].start..hits[0].end], "4111\u{2011}1111\u{2011}1111\u{2011}1111");
}

#[test]
fn places_are_found_behind_the_first_part_and_across_its_end() {
    let filler = "some words of a text, ".repeat((4 << 20) / 22);
    for shift in [0, 7, 15, 30, 5000] {
        let cut = filler.len() - filler.len().min(60) + shift.min(50);
        let text = format!("{} 4111 1111 1111 1111 {}", &filler[..cut], "x ".repeat(shift));
        assert_eq!(found(&text).hits.len(), 1, "{shift}");
    }
}

/// What sources are full of: numbers, hashes, times, versions, coordinates, addresses in memory.
fn code(dice: &mut Dice, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        let hex = |dice: &mut Dice, len| dice.text("0123456789abcdef", len);
        let number =
            |dice: &mut Dice, len| dice.text("123456789", 1) + &dice.text("0123456789", len);
        let line = match dice.roll(14) {
            0 => format!("x = {}\n", {
                let len = 1 + dice.roll(9);
                number(dice, len)
            }),
            1 => format!("sha256:{}\n", hex(dice, 64)),
            2 => format!(
                "id = \"{}-{}-4{}-a{}-{}\"\n",
                hex(dice, 8),
                hex(dice, 4),
                hex(dice, 3),
                hex(dice, 3),
                hex(dice, 12)
            ),
            3 => {
                format!("t0 = 17{} # {}\n", dice.text("0123456789", 8), dice.text("0123456789", 3))
            }
            4 => format!(
                "\"2024-0{}-1{}T1{}:20:30.{}Z\",\n",
                1 + dice.roll(9),
                dice.roll(10),
                dice.roll(10),
                dice.text("0123456789", 6)
            ),
            5 => format!("version = \"{}.{}.{}\"\n", dice.roll(30), dice.roll(30), dice.roll(3000)),
            6 => format!(
                "{:08x}: {} {} {} {}\n",
                dice.roll(1 << 30),
                hex(dice, 4),
                hex(dice, 4),
                hex(dice, 4),
                hex(dice, 4)
            ),
            7 => format!(
                "point = ({}.{}, -{}.{})\n",
                dice.roll(90),
                dice.text("0123456789", 12),
                dice.roll(180),
                dice.text("0123456789", 12)
            ),
            8 => format!(
                "assert f({}.{}) == {}e-{}\n",
                dice.roll(10),
                dice.text("0123456789", 16),
                dice.roll(10),
                dice.roll(20)
            ),
            9 => format!(
                "    [{}, {}, {}, {}],\n",
                dice.roll(1000),
                dice.roll(100_000),
                dice.roll(10_000_000),
                dice.roll(100)
            ),
            10 => format!(
                "{} {} {} {}\n",
                dice.roll(1000),
                dice.roll(1000),
                dice.roll(10_000),
                dice.roll(100)
            ),
            11 => format!("0x{} ^ 0x{}\n", hex(dice, 16), hex(dice, 8)),
            12 => format!("def token_{}(self, key): return self.password[key]\n", dice.roll(100)),
            _ => format!(
                "# see issue {} and RFC {}, 10.{}/nphys.{}\n",
                dice.roll(9999),
                dice.roll(9999),
                dice.roll(9999),
                dice.roll(9999)
            ),
        };
        text.push_str(&line);
    }
    text
}

#[test]
fn texts_like_sources_hold_next_to_nothing() {
    let mut dice = Dice(3);
    let text = code(&mut dice, 4 << 20);
    let hits = found(&text).hits;
    let per_mb = hits.len() as f64 / 4.0;
    eprintln!(
        "{per_mb} per MB: {:?}",
        hits.iter().map(|hit| (hit.kind, &text[hit.start..hit.end])).collect::<Vec<_>>()
    );
    assert!(per_mb <= FALSE_HITS_PER_MB_MAX);
}

fn sources(directory: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // What tells of tags holds what is tagged.
        let skipped = name.starts_with('.')
            || ["target", "node_modules", "tests"].contains(&name.as_str())
            || path.ends_with("router/src/tags")
            || path.ends_with("route/tags.rs")
            || name == "content-tags.md";
        if skipped {
            continue;
        }
        if path.is_dir() {
            sources(&path, texts);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            texts.push(text);
        }
    }
}

#[test]
fn this_repository_holds_next_to_nothing() {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut texts);
    let bytes: usize = texts.iter().map(String::len).sum();
    let all = texts.iter().flat_map(|text| {
        found(text).hits.into_iter().map(|hit| (hit.kind, &text[hit.start..hit.end]))
    });
    // Found rightly: the account that unit tests are written with.
    let hits: Vec<_> = all.filter(|(_, text)| *text != "DE89 3704 0044 0532 0130 00").collect();
    eprintln!("{} hits in {bytes} bytes: {hits:?}", hits.len());
    assert!(bytes > 1 << 20, "the repository is there");
    assert!(hits.len() as f64 <= FALSE_HITS_PER_MB_MAX * bytes as f64 / 1e6);
}

#[test]
fn time_grows_with_the_text_and_no_faster() {
    // Texts that make every look around a place go as far as it may.
    let unit = [
        "1 2 3 4 5 6 7 8 9 0 ",
        "123456789 ",
        "a,123456782,",
        "<td>123456782",
        "('a','123456782'),",
        "((((((((",
        "@a.b@c.d",
        "password=",
        "eyJeyJ",
        "::::",
        "Aa0+/",
        "%20%41",
        "\\\\\\\\",
        "&#&#",
        "\n\n",
    ];
    for unit in unit {
        let clock = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            (0..3)
                .map(|_| {
                    let begin = std::time::Instant::now();
                    std::hint::black_box(found(&text));
                    begin.elapsed()
                })
                .min()
                .unwrap()
        };
        let (small, large) = (clock(32 << 10), clock(512 << 10));
        let factor = large.as_secs_f64() / small.as_secs_f64();
        eprintln!("{unit:?}: {small:?} and {large:?}");
        assert!(factor < 100.0, "{unit:?}: sixteen times the text took {factor:.0} times as long");
    }
}
