//! `WWW-Authenticate`: what a registry says that it wants to see.

/// The longest header that is read.
const BYTES_MAX: usize = 4096;

/// What a registry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password with each request.
    Basic,
    /// A token of an authorisation server.
    Bearer {
        /// The server's address.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads a header; nothing where it is in no known form.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let header = header.get(..BYTES_MAX).unwrap_or(header).trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

/// `name="value"`, with commas between; a backslash keeps the sign behind it.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut signs = text.chars().peekable();
    loop {
        while signs.next_if(|sign| matches!(sign, ',' | ' ' | '\t')).is_some() {}
        let mut name = String::new();
        while let Some(sign) = signs.next_if(|sign| *sign != '=' && *sign != ',') {
            name.push(sign);
        }
        if signs.next_if_eq(&'=').is_none() {
            if signs.peek().is_none() {
                return found;
            }
            continue;
        }
        let mut value = String::new();
        if signs.next_if_eq(&'"').is_some() {
            while let Some(sign) = signs.next().filter(|sign| *sign != '"') {
                value.extend(if sign == '\\' { signs.next() } else { Some(sign) });
            }
        } else {
            while let Some(sign) = signs.next_if(|sign| *sign != ',') {
                value.push(sign);
            }
        }
        found.push((name.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_write_is_read() {
        let header =
            r#"Bearer realm="https://a.b/token",service="r\"s",scope="repository:x:pull,push""#;
        let expected =
            Challenge::Bearer { realm: "https://a.b/token".into(), service: Some("r\"s".into()) };
        assert_eq!(Challenge::parse(header), Some(expected));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_in_no_form_is_no_challenge() {
        let endless = format!("Bearer {}", "a,".repeat(100_000));
        for header in ["", "Negotiate", "Bearer", "Bearer service=\"x\"", "Bearer ,,,=", &endless] {
            assert_eq!(Challenge::parse(header), None);
        }
    }
}
