use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A path for each kind of file.
const PATHS: [&str; 12] = [
    "Cargo.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "requirements.txt",
    "poetry.lock",
    "pyproject.toml",
    "uv.lock",
    "go.mod",
    "go.sum",
    "var/lib/dpkg/status",
    "etc/os-release",
    "usr/share/doc/a/copyright",
];

/// What files are made of, so that what is put together at random comes far.
const WORDS: [&str; 48] = [
    "version",
    "=",
    "4",
    "\n",
    " ",
    "[[package]]",
    "name",
    "\"a\"",
    "\"\"",
    "source",
    "\"git+\"",
    "checksum",
    "dependencies",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\"lockfileVersion\"",
    "\"packages\"",
    "\"node_modules/\"",
    "\"node_modules/a\"",
    "\"link\"",
    "true",
    "\"resolved\"",
    "\"integrity\"",
    "\"sha512-\"",
    "lockfileVersion: '9.0'\n",
    "importers:",
    "snapshots:",
    "packages:",
    "  ",
    "a@1(b@2)",
    "-r",
    "==",
    "--hash=sha256:",
    "@",
    "#egg=",
    ";",
    "\\\n",
    "module",
    "require (",
    "=>",
    "Package:",
    "Version:",
    "Depends:",
    "é",
];

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(prop::sample::select(WORDS.as_slice()), 0..60).prop_map(|words| words.concat().into()),
    ]
}

/// One of the goldens' own files with a piece cut out, doubled or replaced.
fn spoilt() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let sources: Vec<(usize, &str)> = vec![
        (0, super::cargo::LOCK),
        (1, super::npm::LOCK),
        (2, super::pnpm::NINE),
        (2, super::pnpm::SIX),
        (3, super::python::REQUIREMENTS),
        (4, super::python::POETRY),
        (6, super::python::UV),
        (7, super::golang::MOD),
        (9, super::debian::STATUS),
    ];
    (prop::sample::select(sources), any::<prop::sample::Index>(), 0..40usize, any_text()).prop_map(
        |((index, text), at, length, put)| {
            let start = at.index(text.len());
            let mut bytes = text.as_bytes().to_vec();
            let end = bytes.len().min(start + length);
            bytes.splice(start..end, put);
            (index, bytes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_described_or_refused(files in vec((prop::sample::select(PATHS.as_slice()), any_text()), 1..4)) {
        let found = of_files(&Subject::project("x"), files, Limits::default());
        if let Err(error) = found {
            prop_assert!(!error.to_string().is_empty() && !error.path().is_empty());
        }
    }

    #[test]
    fn spoilt_files_are_described_or_refused((index, bytes) in spoilt()) {
        let found = of_files(&Subject::project("x"), [(PATHS[index], bytes)], Limits::default());
        if let Ok(found) = found {
            let value: Value = serde_json::from_slice(&found.json).unwrap();
            let all = references(&value);
            let mut once = all.clone();
            once.dedup();
            prop_assert_eq!(all, once);
        }
    }
}

#[test]
fn nested_files_are_refused_and_do_not_end_the_process() {
    let deep = |open: &str| open.repeat(200_000);
    for (path, text) in [
        ("package-lock.json", deep("[")),
        ("Cargo.lock", format!("a = {}", deep("["))),
        ("pnpm-lock.yaml", deep("[")),
        ("pnpm-lock.yaml", deep("- ")),
        ("pnpm-lock.yaml", deep("? ")),
    ] {
        let text = text.get(..150_000).unwrap().to_owned();
        refusal(&[(path, &text)]);
    }
    let names: Vec<String> = (0..40).map(|index| format!("requirements-{index}.txt")).collect();
    let texts: Vec<String> =
        (1..41).map(|index| format!("-r requirements-{index}.txt\n")).collect();
    let files: Vec<_> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    assert!(refusal(&files).to_string().contains("take each other in too deeply"));
}
