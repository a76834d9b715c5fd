//! Checksums and the randomness of texts, as tokens are judged by.

/// CRC-32 (ISO 3309), as GitHub and npm put it at the end of tokens.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

/// Six digits of base 62, with digits first, then capitals.
pub(super) fn base62(mut value: u32) -> [u8; 6] {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = SIGNS.get((value % 62) as usize).copied().unwrap_or(b'0');
        value /= 62;
    }
    text
}

/// Shannon's entropy in bits for a sign.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut times = [0_u32; 256];
    for byte in text {
        if let Some(count) = times.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = text.len().max(1) as f64;
    let part = |count: u32| f64::from(count) / all;
    -times
        .iter()
        .filter(|count| **count > 0)
        .map(|count| part(*count) * part(*count).log2())
        .sum::<f64>()
}

/// Whether signs follow each other as chance would have it, not as in `xxxx` or `abcdefgh`.
pub(super) fn is_random(text: &[u8]) -> bool {
    let steps = text.windows(2).filter(|pair| match pair {
        [one, other] => one == other || one.wrapping_add(1) == *other,
        _ => false,
    });
    let bound = (text.len().max(2) as f64).log2().min(4.2) * 0.68;
    entropy(text) >= bound && steps.count() * 3 < text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(&base62(62 * 62 + 10), b"00010A");
    }

    #[test]
    fn placeholders_are_not_random() {
        for text in ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "abcdefghijklmnopqrstuvwxyz0123456789"]
        {
            assert!(!is_random(text.as_bytes()), "{text}");
        }
        assert!(is_random(b"q8Zr2LkP0vXy7TbN4cWd"));
    }
}
