//! Which images a Dockerfile takes from registries: those that are fetched with the worker's credentials
//! before anything of the Dockerfile is run.
//!
//! It is no whole reading. An image that is not found here is fetched when it is built upon, and then
//! without credentials.

use std::collections::{BTreeMap, BTreeSet};

use crate::parameters::Word;

/// The most images of one Dockerfile.
const IMAGES_MAX: usize = 64;
/// The longest name of an image, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// The images that a Dockerfile names, each once, in their order; `is_based` is whether the first stage is
/// put upon something else.
pub(super) fn images(text: &str, given: &BTreeMap<String, Word>, is_based: bool) -> Vec<String> {
    let mut reading = Reading::of(given);
    reading.skips = usize::from(is_based);
    for line in lines(text) {
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
        let words: Vec<&str> = words.collect();
        match instruction.as_str() {
            "ARG" if reading.stages == 0 => reading.declare(&words),
            "FROM" => reading.begin(&words),
            "COPY" | "ADD" => words.iter().for_each(|word| reading.flag(word, "--from=")),
            "RUN" => {
                let mounts = words.iter().filter_map(|word| word.strip_prefix("--mount="));
                mounts
                    .flat_map(|mount| mount.split(','))
                    .for_each(|field| reading.flag(field, "from="));
            }
            _ => {}
        }
    }
    reading.found
}

/// The registry that an image's name begins with, or Docker's, and the repository in it.
pub(super) fn place(image: &str) -> (&str, &str) {
    let (registry, rest) = match image.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("docker.io", image),
    };
    let rest = rest.split('@').next().unwrap_or_default();
    (registry, rest.split(':').next().unwrap_or_default())
}

struct Reading<'a> {
    given: &'a BTreeMap<String, Word>,
    /// Values that `ARG` gives before the first stage.
    values: BTreeMap<String, String>,
    names: BTreeSet<String>,
    stages: usize,
    skips: usize,
    found: Vec<String>,
}

impl<'a> Reading<'a> {
    fn of(given: &'a BTreeMap<String, Word>) -> Self {
        Self {
            given,
            values: BTreeMap::new(),
            names: BTreeSet::new(),
            stages: 0,
            skips: 0,
            found: Vec::new(),
        }
    }

    fn declare(&mut self, words: &[&str]) {
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let value = match self.given.get(name) {
                Some(Word(given)) => given.clone(),
                None => self.expanded(value.trim_matches(['"', '\''])),
            };
            self.values.insert(name.to_owned(), value);
        }
    }

    fn begin(&mut self, words: &[&str]) {
        let mut words = words.iter().filter(|word| !word.starts_with("--"));
        let image = words.next().copied().unwrap_or_default();
        if self.stages >= self.skips {
            self.add(image);
        }
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
            self.names.extend(words.next().map(|name| name.to_ascii_lowercase()));
        }
        self.stages += 1;
    }

    fn flag(&mut self, word: &str, flag: &str) {
        if let Some(image) = word.strip_prefix(flag) {
            self.add(image);
        }
    }

    fn add(&mut self, image: &str) {
        let image = self.expanded(image);
        let image = image.strip_prefix("docker://").unwrap_or(&image);
        let is_stage = self.names.contains(&image.to_ascii_lowercase())
            || image.bytes().all(|byte| byte.is_ascii_digit());
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte);
        let is_name = image.len() <= NAME_BYTES_MAX
            && image.bytes().all(may_stand)
            && image.starts_with(|sign: char| sign.is_ascii_alphanumeric());
        let is_new = !self.found.iter().any(|found| found == image);
        if is_name && is_new && !is_stage && image != "scratch" && self.found.len() < IMAGES_MAX {
            self.found.push(image.to_owned());
        }
    }

    /// A text with the values of `$NAME`, `${NAME}` and `${NAME:-else}` in their places.
    fn expanded(&self, text: &str) -> String {
        let mut whole = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            whole.push_str(before);
            let (name, behind) =
                match after.strip_prefix('{').and_then(|in_it| in_it.split_once('}')) {
                    Some(found) => found,
                    None => {
                        let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
                        after.split_at(after.find(|sign| !is_part(sign)).unwrap_or(after.len()))
                    }
                };
            let (name, otherwise) = name.split_once(":-").unwrap_or((name, ""));
            let value = self.values.get(name).filter(|value| !value.is_empty());
            whole.push_str(value.map_or(otherwise, String::as_str));
            rest = behind;
        }
        whole + rest
    }
}

/// The lines of a Dockerfile, those that go on put together, without comments.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut whole = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.trim_end().strip_suffix(['\\', '`']) {
            Some(part) => {
                whole.push_str(part);
                whole.push(' ');
            }
            None => {
                whole.push_str(line);
                lines.push(std::mem::take(&mut whole));
            }
        }
    }
    lines.push(whole);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let given = BTreeMap::from([("TAG".to_owned(), Word("2".into()))]);
        images(text, &given, false)
    }

    #[test]
    fn images_that_a_dockerfile_names_are_found() {
        let text = "# syntax=x\nARG TAG=1 HOST=\"ghcr.io\"\nFROM --platform=linux/amd64 $HOST/a/b:${TAG} AS Build\n\
                    FROM build\nARG HOST=other\nfrom \\\n  ${NONE:-alpine}\nCOPY --chown=0 --from=c.example/d /x /y\n\
                    COPY --from=build /x /y\nCOPY --from=0 /x /y\nFROM scratch\n\
                    RUN --mount=type=bind,from=e.example:5000/f,target=/x true\nFROM docker://quay.io/g@sha256:ab\n";
        let expected =
            ["ghcr.io/a/b:2", "alpine", "c.example/d", "e.example:5000/f", "quay.io/g@sha256:ab"];
        assert_eq!(found(text), expected);
        assert_eq!(images("FROM a\nFROM b", &BTreeMap::new(), true), ["b"]);
    }

    #[test]
    fn what_no_registry_has_is_no_image() {
        for text in [
            "FROM --authfile=/x",
            "FROM oci:/etc",
            "FROM dir:../x y",
            "FROM -x",
            "FROM",
            "FROM $",
            "FROM ${",
            "\\",
        ] {
            let images = found(text);
            assert!(images.iter().all(|image| !image.starts_with('-')), "{text}: {images:?}");
        }
        let many: String = (0..1_000).map(|number| format!("FROM a{number}\n")).collect();
        assert_eq!(found(&many).len(), IMAGES_MAX);
    }

    #[test]
    fn an_image_is_of_the_registry_that_its_name_begins_with() {
        for (image, expected) in [
            ("alpine:3", ("docker.io", "alpine")),
            ("me/app", ("docker.io", "me/app")),
            ("ghcr.io/me/app@sha256:ab", ("ghcr.io", "me/app")),
            ("localhost/app:1@sha256:ab", ("localhost", "app")),
            ("registry:5000/app:2", ("registry:5000", "app")),
        ] {
            assert_eq!(place(image), expected);
        }
    }
}
