//! A server's address as people write it.

use super::Error;

/// An `http` or `https` URL without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads `https://host`, `http://host:port/base` or `host:port`, which means `http` on
    /// loopback and `https` elsewhere.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Address { found: text.chars().take(200).collect() };
        let trimmed = text.trim().trim_end_matches('/');
        let full = match trimmed.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() => trimmed.to_owned(),
            Some(_) => return Err(refuse()),
            None if trimmed.ends_with(':') => return Err(refuse()),
            None if is_loopback(host(trimmed)) => format!("http://{trimmed}"),
            None => format!("https://{trimmed}"),
        };
        let url = reqwest::Url::parse(&full).map_err(|_| refuse())?;
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.host_str().is_none() || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse());
        }
        Ok(Self(full))
    }

    /// The URL of a path that begins with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine: no proxy is asked then.
    pub fn is_loopback(&self) -> bool {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        is_loopback(host(rest))
    }

    /// Whether bytes travel encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https://")
    }
}

fn host(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or(six),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_its_scheme_out() {
        let of = |text| Address::parse(text).map(|address| address.as_str().to_owned()).ok();
        assert_eq!(of("127.0.0.1:8080"), Some("http://127.0.0.1:8080".into()));
        assert_eq!(of("localhost:1/"), Some("http://localhost:1".into()));
        assert_eq!(of("[::1]:80"), Some("http://[::1]:80".into()));
        assert_eq!(of("maestro.example.org"), Some("https://maestro.example.org".into()));
    }

    #[test]
    fn what_could_carry_a_secret_or_nothing_is_no_address() {
        for text in
            ["", "ftp://x", "http://", "http://me:pw@host", "http://h?x=1", "http://h#f", "a b"]
        {
            assert!(Address::parse(text).is_err(), "{text:?} was taken for an address");
        }
    }
}
