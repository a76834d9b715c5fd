//! Passwords and keys by what they are assigned to, and passwords within addresses of services.

use super::hash::{entropy, is_random};
use super::near::Near;
use super::scan::Found;
use super::table::Columns;
use super::{Evidence, Tag};

/// Of a key's name before its last word, of what stands between name and value, and of values.
const NAME_MAX: usize = 40;
const BETWEEN_MAX: usize = 12;
const VALUE_MIN: usize = 8;
const VALUE_MAX: usize = 512;
/// Bits for a sign of what a person chose, and of what a program did.
const CHOSEN_BITS: f64 = 2.5;

/// What ends the names of passwords, and of keys that programs choose.
const CHOSEN: [&str; 7] =
    ["password", "passwd", "pwd", "passphrase", "passwort", "contrasena", "motdepasse"];
const MADE: [&str; 18] = [
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "accountkey",
    "sharedaccesskey",
    "privatekey",
    "clientsecret",
    "token",
    "accesstoken",
    "authtoken",
    "refreshtoken",
    "apitoken",
    "bearer",
    "secretaccesskey",
    "signingkey",
    "encryptionkey",
    "credential",
];
/// Names that speak for a key from a distance.
const BESIDE_MADE: [&str; 8] = [
    "apikey",
    "secretkey",
    "accesskey",
    "secretaccesskey",
    "clientsecret",
    "apitoken",
    "accesstoken",
    "authtoken",
];
/// What the names above end with, so that most words cost nothing more.
const LAST: [&[u8]; 11] = [
    b"word",
    b"wd",
    b"phrase",
    b"wort",
    b"sena",
    b"passe",
    b"secret",
    b"key",
    b"token",
    b"bearer",
    b"credential",
];
/// Words that a value may be without being one.
const PLACEHOLDERS: [&str; 22] = [
    "password",
    "example",
    "changeme",
    "placeholder",
    "your",
    "xxxx",
    "dummy",
    "redacted",
    "secret",
    "test",
    "sample",
    "hidden",
    "none",
    "null",
    "true",
    "false",
    "default",
    "insert",
    "string",
    "todo",
    "foobar",
    "****",
];

fn ends_with(word: &[u8], last: &[u8]) -> bool {
    let from = word.len().checked_sub(last.len());
    from.and_then(|from| word.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(last))
}

/// The assignment whose name ends with a word.
pub(super) fn at(bytes: &[u8], start: usize, end: usize) -> Option<Found> {
    let word = bytes.get(start..end)?;
    if !LAST.iter().any(|last| ends_with(word, last)) {
        return None;
    }
    let between = bytes.get(end..bytes.len().min(end + BETWEEN_MAX))?;
    if !between.iter().take(3).any(|byte| b"=:> ".contains(byte)) {
        return None;
    }
    let name = name(bytes, start, end);
    let chosen = CHOSEN.iter().any(|word| name.ends_with(word));
    if !chosen && !MADE.iter().any(|word| name.ends_with(word)) {
        return None;
    }
    let (from, quote) = value_start(bytes, end, name.ends_with("bearer"))?;
    let value = value(bytes, from, quote)?;
    let kind = if chosen { "password" } else { "assigned_key" };
    let evidence = Evidence { check: false, format: false, context: true };
    let end = from + value.len();
    (is_secret(value, chosen, quote.is_some())).then_some(Found {
        tag: Tag::Secret,
        kind,
        start: from,
        end,
        evidence,
    })
}

/// The name in small letters, without what stands between its words.
fn name(bytes: &[u8], start: usize, end: usize) -> String {
    let floor = start.saturating_sub(NAME_MAX);
    let before = bytes.get(floor..start).unwrap_or_default();
    let of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let len = before.iter().rev().take_while(of_name).count();
    let name = bytes.get(start - len..end).unwrap_or_default();
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Where the value begins, and the quote around it: behind `=`, `:`, `=>`, `is`, `>`, or a space.
fn value_start(bytes: &[u8], end: usize, spaced: bool) -> Option<(usize, Option<u8>)> {
    let between = bytes.get(end..bytes.len().min(end + BETWEEN_MAX))?;
    let mut assigned = spaced;
    let mut at = 0;
    while let Some(byte) = between.get(at) {
        match byte {
            b'=' | b':' | b'>' => assigned = true,
            b'"' | b'\'' | b'`' if assigned => return Some((end + at + 1, Some(*byte))),
            b' ' | b'"' | b'\'' | b'\t' | b'*' | b']' => {}
            b'i' if between.get(at..)?.starts_with(b"is ") => {
                assigned = true;
                at += 2;
            }
            _ => break,
        }
        at += 1;
    }
    assigned.then_some((end + at, None))
}

fn value(bytes: &[u8], from: usize, quote: Option<u8>) -> Option<&[u8]> {
    let rest = bytes.get(from..)?;
    let stop = |byte: &u8| match quote {
        Some(quote) => *byte == quote || *byte == b'\n',
        None => byte.is_ascii_whitespace() || b"\"'`,;&<>|".contains(byte),
    };
    let len = rest.iter().take(VALUE_MAX).position(stop).unwrap_or(rest.len().min(VALUE_MAX));
    rest.get(..len)
}

fn is_secret(value: &[u8], chosen: bool, quoted: bool) -> bool {
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let digit = has(u8::is_ascii_digit);
    let letter = has(u8::is_ascii_alphabetic);
    let both = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let sign = has(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'_' | b'-' | b'.'));
    let classes = usize::from(digit) + usize::from(both) + usize::from(sign);
    // Calls, indexes, variables and formats of programs, and names of variables in configurations.
    let program = has(|byte| b"()[]{}<>\\ ".contains(byte))
        || [b"$".as_slice(), b"%", b"os.environ/"].iter().any(|first| value.starts_with(first));
    if value.len() < VALUE_MIN || program || !letter || !digit || is_placeholder(value) {
        return false;
    }
    if chosen {
        entropy(value) >= CHOSEN_BITS && (quoted || classes >= 2)
    } else {
        value.len() >= 16 && is_random(value) && (classes >= 2 || value.len() >= 32)
    }
}

fn is_placeholder(value: &[u8]) -> bool {
    let small = value.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| memchr::memmem::find(&small, word.as_bytes()).is_some())
}

/// A key that begins at a word, with a name that is not right before it: in a table, or a sentence.
pub(super) fn beside(bytes: &[u8], start: usize, columns: &mut Columns) -> Option<Found> {
    const KEY_MIN: usize = 20;
    const HEX_MIN: usize = 32;
    let rest = bytes.get(start..)?;
    let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    let of_key = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    let len = rest.iter().take(VALUE_MAX).take_while(of_key).count();
    let value = rest.get(..len)?;
    let count = |test: fn(&u8) -> bool| value.iter().filter(|byte| test(byte)).count();
    let mixed = count(u8::is_ascii_lowercase) > 2 && count(u8::is_ascii_uppercase) > 2;
    let hex = len >= HEX_MIN && value.iter().all(u8::is_ascii_hexdigit);
    let made = len >= KEY_MIN && (hex || mixed && count(u8::is_ascii_digit) > 1);
    let chosen = (VALUE_MIN..KEY_MIN).contains(&len) && mixed;
    if of_key(&&before)
        || before == b'.'
        || !(made || chosen)
        || !is_random(value)
        || is_placeholder(value)
    {
        return None;
    }
    let head = columns.head(bytes, start);
    let near = Near::of(bytes, start, start + len, Some(&head));
    let evidence = Evidence { check: false, format: false, context: true };
    let kind = if made { "assigned_key" } else { "password" };
    let found = Found { tag: Tag::Secret, kind, start, end: start + len, evidence };
    near.has(if made { &BESIDE_MADE } else { &CHOSEN }).then_some(found)
}

/// A password in an address of a service: `scheme://name:password@host`, around the colon behind
/// the scheme.
pub(super) fn connection(bytes: &[u8], colon: usize) -> Option<Found> {
    let rest = bytes.get(colon..)?.strip_prefix(b"://")?;
    let of_part = |byte: &&u8| !byte.is_ascii_whitespace() && !b"/@\"'<>`,{}$()".contains(byte);
    let len = rest.iter().take(VALUE_MAX).take_while(of_part).count();
    let credentials = rest.get(..len)?;
    let password = credentials.get(memchr::memchr(b':', credentials)? + 1..)?;
    let host = rest.get(len + 1..)?.first()?;
    let fits = rest.get(len) == Some(&b'@')
        && (host.is_ascii_alphanumeric() || *host == b'[')
        && password.len() >= 6
        && entropy(password) >= CHOSEN_BITS
        && password.iter().any(|byte| !byte.is_ascii_lowercase())
        && !is_placeholder(password);
    let evidence = Evidence { check: false, format: true, context: true };
    let end = colon + 3 + len;
    let start = end - password.len();
    let found = Found { tag: Tag::Secret, kind: "connection_password", start, end, evidence };
    fits.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let bytes = text.as_bytes();
        let starts =
            (0..bytes.len()).filter(|at| *at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
        let word = |start: usize| {
            start + bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()
        };
        let hit = starts.into_iter().find_map(|start| at(bytes, start, word(start)));
        let hit = hit.or_else(|| connection(bytes, text.find("://")?))?;
        text.get(hit.start..hit.end)
    }

    #[test]
    fn values_that_nobody_would_guess_are_found() {
        assert_eq!(found("DB_PASSWORD='hT7#kq9Lm2'"), Some("hT7#kq9Lm2"));
        assert_eq!(found("{\"apiKey\": \"q8Zr2LkP0vXy7TbN4cWd\"}"), Some("q8Zr2LkP0vXy7TbN4cWd"));
        assert_eq!(found("the password is Tr0ub4dor&3x"), Some("Tr0ub4dor"));
        assert_eq!(found("postgres://app:s3cUr3Pw9@db.acme.co/x"), Some("s3cUr3Pw9"));
    }

    #[test]
    fn programs_and_placeholders_are_not_secrets() {
        for text in [
            "password = getpass()",
            "token = tokens[1]",
            "password: changeme123",
            "api_key = os.environ['KEY1']",
            "api_key: os.environ/GPU_2_KEY",
            "token = next_token_2",
            "secret = \"your-secret-1\"",
            "postgres://user:password@localhost/x",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
