//! E-mail addresses, but for those that are public on purpose: of authors and maintainers in sources,
//! of roles and lists, and of the domains that are reserved for examples (RFC 2606, RFC 6761).

use super::scan::Found;
use super::{Evidence, Tag};

/// Of a local part (RFC 5321, 4.5.3.1.1) and of a domain.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;
/// So far before an address its line is looked at, and so many lines above.
const LINE_MAX: usize = 200;
const ABOVE_LINES_MAX: usize = 24;

/// What no domain of mail ends with, but names in programs do.
const NO_DOMAINS: [&str; 38] = [
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "css",
    "js",
    "ts",
    "json",
    "html",
    "htm",
    "xml",
    "yml",
    "yaml",
    "toml",
    "txt",
    "lock",
    "whl",
    "zip",
    "gz",
    "tar",
    "dll",
    "exe",
    "dot",
    "sum",
    "mean",
    "local",
    "lan",
    "internal",
    "test",
    "example",
    "invalid",
    "localhost",
    "onion",
    "py",
    "sh",
    "copy",
];
const EXAMPLES: [&str; 4] = ["example.com", "example.org", "example.net", "example.edu"];
const ROLES: [&str; 43] = [
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "info",
    "support",
    "security",
    "contact",
    "admin",
    "webmaster",
    "postmaster",
    "hostmaster",
    "abuse",
    "sales",
    "help",
    "office",
    "hello",
    "team",
    "list",
    "lists",
    "dev",
    "users",
    "user",
    "bugs",
    "root",
    "git",
    "conduct",
    "legal",
    "press",
    "privacy",
    "report",
    "reports",
    "opencode",
    "opensource",
    "example",
    "someone",
    "name",
    "email",
    "mail",
    "foo",
    "bar",
    "username",
    "your.email",
];
const LISTS: [&str; 9] = [
    "-dev",
    "-devel",
    "-users",
    "-discuss",
    "-discussion",
    "-list",
    "-announce",
    "-bugs",
    "-maintainers",
];
const LIST_DOMAINS: [&str; 4] =
    ["googlegroups.com", "users.noreply.github.com", "groups.io", "lists."];
const ATTRIBUTION: [&str; 18] = [
    "thanks to",
    "author",
    "maintain",
    "copyright",
    "(c)",
    "©",
    "signed-off-by",
    "co-developed-by",
    "reported-by",
    "reviewed-by",
    "tested-by",
    "acked-by",
    "spdx",
    "contribut",
    "credit",
    "licen",
    "committer",
    "written by",
];
/// Of a block of names, the lines above that say what it is.
const HEADINGS: [&str; 7] =
    ["developed by", "written by", "author", "maintain", "copyright", "contributor", "credits"];

/// Finds the address around an at sign.
pub(super) fn at(bytes: &[u8], sign: usize) -> Option<Found> {
    let before = bytes.get(sign.saturating_sub(LOCAL_MAX)..sign)?;
    let of_local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._+-%".contains(byte);
    let local = before.iter().rev().take_while(of_local).count();
    let after = bytes.get(sign + 1..)?;
    let of_domain = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let domain = after.iter().take(DOMAIN_MAX).take_while(of_domain).count();
    let text = |from: usize, to: usize| std::str::from_utf8(bytes.get(from..to)?).ok();
    let local = text(sign - local, sign)?.trim_start_matches(['.', '-', '%']);
    let domain = text(sign + 1, sign + 1 + domain)?.trim_end_matches(['.', '-']);
    let (start, end) = (sign - local.len(), sign + 1 + domain.len());
    let behind = bytes.get(end).copied().unwrap_or(b' ');
    let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    let is_mail = is_domain(domain)
        && local.bytes().any(|byte| byte.is_ascii_alphabetic() || byte.is_ascii_digit())
        && (local.len() > 1 || domain.len() > 5)
        && !matches!(behind, b'(' | b'@' | b'[' | b'_')
        && before != b'@'
        && !is_user_of_host(bytes, start)
        && !is_public(local, domain)
        && !is_attributed(bytes, start);
    let evidence = Evidence { check: false, format: true, context: false };
    is_mail.then_some(Found { tag: Tag::Pii, kind: "email", start, end, evidence })
}

fn is_domain(domain: &str) -> bool {
    let Some((body, top)) = domain.rsplit_once('.') else { return false };
    let small = top.to_ascii_lowercase();
    (2..=24).contains(&top.len())
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (top == small || top == top.to_ascii_uppercase())
        && body.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
        && !NO_DOMAINS.contains(&small.as_str())
}

fn is_public(local: &str, domain: &str) -> bool {
    let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let within = |name: &&str| {
        domain.strip_suffix(*name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    EXAMPLES.iter().any(within)
        || ROLES.contains(&local.as_str())
        || LISTS.iter().any(|suffix| local.ends_with(suffix))
        || LIST_DOMAINS.iter().any(|name| within(name) || domain.starts_with(name))
}

fn is_attributed(bytes: &[u8], start: usize) -> bool {
    let mut lines = Lines { bytes, end: start };
    let Some(own) = lines.next() else { return false };
    if ATTRIBUTION.iter().any(|word| own.contains(word)) || is_by(&own) {
        return true;
    }
    let heading = |line: &String| HEADINGS.iter().any(|word| line.contains(word));
    lines.take(ABOVE_LINES_MAX).take_while(|line| line.len() > 1).any(|line| heading(&line))
}

/// `by Somebody`, at a line's beginning or behind what somebody did.
fn is_by(line: &str) -> bool {
    const DID: [&str; 9] = [
        "developed ",
        "created ",
        "modified ",
        "adapted ",
        "coded ",
        "ported ",
        "implemented ",
        "work ",
        "",
    ];
    let Some((before, name)) = line.rsplit_once("by ") else { return false };
    let by = DID
        .iter()
        .any(|did| if did.is_empty() { before.is_empty() } else { before.ends_with(did) });
    by && name.len() < 40
}

/// Whether it is the name before a host, in an address of a service.
fn is_user_of_host(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(start.saturating_sub(LOCAL_MAX)..start).unwrap_or_default();
    let word = before
        .iter()
        .rev()
        .take_while(|byte| !byte.is_ascii_whitespace() && !b"\"'<>(".contains(byte));
    let word = before.get(before.len() - word.count()..).unwrap_or_default();
    word.ends_with(b"//")
        || memchr::memmem::rfind(word, b"//").is_some_and(|at| {
            word.get(at + 2..).is_some_and(|rest| rest.ends_with(b":") && !rest.contains(&b'/'))
        })
}

/// Lines from a place upward, in small letters, without what leads comments in.
struct Lines<'a> {
    bytes: &'a [u8],
    end: usize,
}

impl Iterator for Lines<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let floor = self.end.saturating_sub(LINE_MAX);
        let window = self.bytes.get(floor..self.end)?;
        let begin = memchr::memrchr(b'\n', window).map_or(floor, |at| floor + at + 1);
        let line = String::from_utf8_lossy(self.bytes.get(begin..self.end)?).to_ascii_lowercase();
        if self.end == 0 || begin == floor && floor > 0 {
            self.bytes = &[];
            self.end = 1;
        } else if begin == 0 {
            self.end = 0;
            self.bytes = &[];
            return Some(line);
        } else {
            self.end = begin - 1;
        }
        Some(line.trim_matches([' ', '\t', '#', '*', '/', ';', '!', '\r']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let hit = at(text.as_bytes(), text.find('@').unwrap())?;
        text.get(hit.start..hit.end)
    }

    #[test]
    fn an_address_is_found_without_what_stands_around_it() {
        for text in [
            "to=<jane.roe+a@mail.acme.co>;",
            "(jane.roe+a@mail.acme.co).",
            "Mail jane.roe+a@mail.acme.co.",
        ] {
            assert_eq!(found(text), Some("jane.roe+a@mail.acme.co"), "{text}");
        }
    }

    #[test]
    fn who_wrote_it_is_public() {
        for text in [
            "# Author: Jane Roe <jane@acme.co>",
            "Signed-off-by: Jane <jane@acme.co>",
            "Copyright (C) 2004 by Jane <jane@acme.co>",
            "Authors\n-------\nJoe (x)\nJane (jane@acme.co)",
            "author_email='jane@acme.co'",
            "adapted by Jane Roe (jane@acme.co)",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn roles_lists_examples_and_programs_are_not_persons() {
        for text in [
            "git@github.com:a/b",
            "numpy-discussion@python.org",
            "a@b.T",
            "x@y.dot(z)",
            "jane@example.com",
            "jane@mail.example.org",
            "icon@2x.png",
            "user@host.test",
            "@decorator.name",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
