//! The name of a key in AWS KMS: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
//!
//! An alias is refused: what it names may change, and with it what was signed or wrapped by it.

use std::fmt;
use std::str::FromStr;

/// The longest name that is read, in bytes.
const BYTES_MAX: usize = 256;

/// The name of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyArn {
    text: String,
    partition: String,
    region: String,
}

/// The text names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID; an alias may come to mean another"
)]
pub struct NoArn;

impl KeyArn {
    /// The region that the key is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where the region's service is.
    pub(super) fn endpoint(&self) -> String {
        let domain = match self.partition.as_str() {
            "aws-cn" => "amazonaws.com.cn",
            _ => "amazonaws.com",
        };
        format!("https://kms.{}.{domain}/", self.region)
    }
}

impl FromStr for KeyArn {
    type Err = NoArn;

    fn from_str(text: &str) -> Result<Self, NoArn> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, key] = parts.as_slice() else {
            return Err(NoArn);
        };
        let is_word = |text: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !text.is_empty() && text.bytes().all(is_letter)
        };
        let id = key.strip_prefix("key/").ok_or(NoArn)?;
        let is_whole = [partition, region, account].into_iter().all(|text| is_word(text));
        if !is_whole || !is_word(id) || !partition.starts_with("aws") || text.len() > BYTES_MAX {
            return Err(NoArn);
        }
        Ok(Self {
            text: text.to_owned(),
            partition: (*partition).to_owned(),
            region: (*region).to_owned(),
        })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_own_arn_and_by_nothing_else() {
        let text = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let arn: KeyArn = text.parse().unwrap();
        assert_eq!((arn.to_string().as_str(), arn.region()), (text, "eu-central-1"));
        assert_eq!(arn.endpoint(), "https://kms.eu-central-1.amazonaws.com/");
        let china: KeyArn = "arn:aws-cn:kms:cn-north-1:123456789012:key/a".parse().unwrap();
        assert_eq!(china.endpoint(), "https://kms.cn-north-1.amazonaws.com.cn/");
        for text in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/release",
            "arn:aws:kms:eu-central-1:123456789012:alias/release",
            "arn:aws:s3:eu-central-1:123456789012:key/a",
            "arn:aws:kms:evil.example/:123456789012:key/a",
            "arn:aws:kms:eu-central-1:123456789012:key/a/b",
            "arn:aws:kms:eu-central-1:123456789012:key/",
        ] {
            assert_eq!(text.parse::<KeyArn>(), Err(NoArn), "{text}");
        }
    }
}
