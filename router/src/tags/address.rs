//! Phone numbers with a country's code, and IP addresses beside a word that says whose they are.

use core::net::IpAddr;

use super::near::Near;
use super::scan::Found;
use super::{Evidence, Tag};

/// Digits of a number with its country's code (E.164 has at most 15).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 10..=15;
/// Signs of such a number with what stands between its digits.
const PHONE_SIGNS_MAX: usize = 26;
/// The longest IP address.
const IP_MAX: usize = 45;
const IP_WORDS: [&str; 14] = [
    "clientip",
    "ipaddress",
    "ipaddr",
    "remoteaddr",
    "remoteip",
    "xforwardedfor",
    "forwardedfor",
    "sourceip",
    "srcip",
    "userip",
    "ip",
    "visitor",
    "loginfrom",
    "realip",
];

/// A number that begins with a plus sign.
pub(super) fn phone(bytes: &[u8], plus: usize) -> Option<Found> {
    let before = plus.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    let rest = bytes.get(plus + 1..bytes.len().min(plus + 1 + PHONE_SIGNS_MAX))?;
    if !rest.first()?.is_ascii_digit()
        || before.is_ascii_alphanumeric()
        || b")]_+*".contains(&before)
    {
        return None;
    }
    let (mut digits, mut end, mut dots, mut pause) = (Vec::new(), 0, 0, 0);
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits.push(*byte);
                (end, pause) = (at + 1, 0);
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if pause < 2 => {
                dots += usize::from(*byte == b'.');
                pause += 1;
            }
            _ => break,
        }
    }
    let behind = rest.get(end).copied().unwrap_or(b' ');
    let fits = PHONE_DIGITS.contains(&digits.len())
        && is_country(&digits)
        && dots != 1
        && !behind.is_ascii_alphanumeric()
        && behind != b'_';
    let evidence = Evidence { check: false, format: true, context: false };
    let end = plus + 1 + end;
    fits.then_some(Found { tag: Tag::Pii, kind: "phone", start: plus, end, evidence })
}

/// Whether a country's code stands first (ITU-T E.164, list of assigned codes).
fn is_country(digits: &[u8]) -> bool {
    let at = |place: usize| digits.get(place).copied().unwrap_or(b'0');
    match (at(0), at(1)) {
        (b'1', area) => digits.len() == 11 && area > b'1' && at(4) > b'1',
        (b'7', next) => digits.len() == 11 && b"3489567".contains(&next),
        (b'2', b'1') => b"12368".contains(&at(2)),
        (b'2', b'0' | b'7' | b'2'..=b'6' | b'9')
        | (b'3', _)
        | (b'4', _)
        | (b'5', _)
        | (b'6', _) => true,
        (b'8', b'1' | b'2' | b'4' | b'5' | b'6' | b'8') => true,
        (b'9', b'0'..=b'5' | b'8') => true,
        (b'9', b'6') => at(2) < b'9',
        (b'9', b'7') => at(2) < b'8',
        (b'9', b'9') => (b'2'..=b'8').contains(&at(2)),
        _ => false,
    }
}

/// An IP address of the public internet that begins at a word, with a word beside it.
pub(super) fn ip(bytes: &[u8], start: usize, end: usize) -> Option<Found> {
    let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    if end - start > 4 || !matches!(bytes.get(end), Some(b'.' | b':')) || b".:-_".contains(&before)
    {
        return None;
    }
    let rest = bytes.get(start..bytes.len().min(start + IP_MAX + 1))?;
    let sign = |byte: &&u8| byte.is_ascii_hexdigit() || b".:".contains(byte);
    let len = rest.iter().take_while(sign).count();
    let text = std::str::from_utf8(rest.get(..len)?).ok()?.trim_end_matches(['.', ':']);
    let v4 = |text: &str| text.split(':').next().and_then(|text| text.parse::<IpAddr>().ok());
    let parsed = text.parse::<IpAddr>().ok().map(|ip| (ip, text.len()));
    let found = parsed.or_else(|| Some((v4(text)?, text.find(':')?)));
    let (ip, len) = found.filter(|(ip, _)| is_public(*ip))?;
    let near = Near::of(bytes, start, start + len, None);
    let evidence = Evidence { check: false, format: true, context: true };
    let kind = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    near.has(&IP_WORDS).then_some(Found { tag: Tag::Pii, kind, start, end: start + len, evidence })
}

/// Neither private, local, reserved nor for documentation (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, _, last] = ip.octets();
            let special = ip.is_private() || ip.is_loopback() || ip.is_link_local();
            let resolver =
                [[8; 4], [8, 8, 4, 4], [1; 4], [1, 0, 0, 1], [9; 4]].contains(&ip.octets());
            let shared = first == 100 && (64..128).contains(&second);
            !(special
                || shared
                || resolver
                || ip.is_documentation()
                || ip.is_multicast()
                || first == 0)
                && first < 224
                && (last != 0 || second != 0)
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            (0x2000..0x4000).contains(&first) && !(first == 0x2001 && second == 0xdb8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_countrys_code_is_a_phone_and_a_sum_is_not() {
        assert!(phone(b"+49 30 90182-1234", 0).is_some());
        assert!(phone(b"+1 (415) 723-2671", 0).is_some());
        assert!(phone(b"a+123456789012", 1).is_none());
        assert!(phone(b"+1.23456789", 0).is_none());
    }

    #[test]
    fn an_address_needs_a_word_and_must_be_public() {
        fn found(text: &str) -> Option<&str> {
            let start = text.find(['8', '1', '2']).unwrap();
            let end = start + text[start..].find(['.', ':']).unwrap();
            ip(text.as_bytes(), start, end).map(|found| &text[found.start..found.end])
        }
        assert_eq!(found("client_ip=81.2.69.142:443"), Some("81.2.69.142"));
        assert_eq!(found("remote_addr: 2a02:810:1::5"), Some("2a02:810:1::5"));
        assert_eq!(found("version 81.2.69.142"), None);
        assert_eq!(found("client_ip=192.168.1.4"), None);
    }
}
