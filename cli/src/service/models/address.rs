//! Addresses of servers: which are taken, and what is made of Ollama's short forms.

use reqwest::Url;

/// What an address must be.
pub const EXPECTED: &str = "an address as http://gpu-1:11434, without user, query or fragment";

/// An address of a server, without a slash at its end; nothing where it is none, or holds what would
/// show in logs.
pub fn server(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_plain && is_web).then(|| text.trim_end_matches('/').to_owned())
}

/// The host and port of an address, by which it is called where it has no name.
pub fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

/// The server that Ollama's own variable means: `gpu-1`, `gpu-1:11434`, `0.0.0.0`, `https://gpu-1`. What a
/// server listens on everywhere is called on this machine.
pub fn of_ollama(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains("://") {
        return server(text).map(|url| called_here(&url));
    }
    // A port at the end, which no part of an IPv6 address without brackets is.
    let port = text.rsplit_once(':').filter(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    let (host, port) = match port {
        Some((host, port)) => (host, port.to_owned()),
        None => (text, maestro_llm::ollama::PORT.to_string()),
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let url = format!("http://{host}:{port}");
    server(&url).map(|url| called_here(&url))
}

fn called_here(url: &str) -> String {
    url.replacen("//0.0.0.0", "//127.0.0.1", 1).replacen("//[::]", "//[::1]", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_secret_or_without_a_server_is_not_taken() {
        assert_eq!(server("http://gpu-1:8000/v1/").as_deref(), Some("http://gpu-1:8000/v1"));
        let wrong = [
            "gpu-1:11434",
            "http://",
            "ftp://gpu-1",
            "http://user:secret@gpu-1",
            "http://gpu-1?key=secret",
            "http://gpu-1/#x",
            "",
        ];
        for text in wrong {
            assert_eq!(server(text), None, "{text}");
        }
        assert_eq!(place("http://gpu-1:8000/v1"), "gpu-1:8000");
    }

    #[test]
    fn ollamas_own_short_forms_are_read_as_its_programs_read_them() {
        let pairs = [
            ("gpu-1", "http://gpu-1:11434"),
            ("gpu-1:80", "http://gpu-1:80"),
            (":1234", "http://127.0.0.1:1234"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:99", "http://127.0.0.1:99"),
            ("[::]:99", "http://[::1]:99"),
            ("https://gpu-1/ollama/", "https://gpu-1/ollama"),
        ];
        for (text, url) in pairs {
            assert_eq!(of_ollama(text).as_deref(), Some(url), "{text}");
        }
        assert_eq!(of_ollama("http://a:b@gpu-1"), None);
        assert_eq!(of_ollama("two words"), None);
    }
}
