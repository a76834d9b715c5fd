//! Keys and tokens that tell by their form what they open, and private keys in PEM.

use std::sync::OnceLock;

use super::hash::{base62, crc32, is_random};
use super::scan::Found;
use super::{Evidence, Tag};

/// A token's beginning and what follows it. Beginnings stand in two parts, so that no scanner of
/// secrets takes this list for one.
struct Form {
    kind: &'static str,
    begins: (&'static str, &'static str),
    /// Signs that follow, beside letters and digits.
    also: &'static [u8],
    /// How many follow at least and at most.
    length: (usize, usize),
}

const fn form(
    kind: &'static str,
    begins: (&'static str, &'static str),
    also: &'static [u8],
    length: (usize, usize),
) -> Form {
    Form { kind, begins, also, length }
}

const FORMS: &[Form] = &[
    form("aws_access_key_id", ("AK", "IA"), b"", (16, 16)),
    form("aws_access_key_id", ("AS", "IA"), b"", (16, 16)),
    form("aws_access_key_id", ("AB", "IA"), b"", (16, 16)),
    form("aws_access_key_id", ("AC", "CA"), b"", (16, 16)),
    form("github_token", ("gh", "p_"), b"", (36, 255)),
    form("github_token", ("gh", "o_"), b"", (36, 255)),
    form("github_token", ("gh", "u_"), b"", (36, 255)),
    form("github_token", ("gh", "s_"), b"", (36, 255)),
    form("github_token", ("gh", "r_"), b"", (36, 255)),
    form("github_token", ("github", "_pat_"), b"_", (40, 255)),
    form("gitlab_token", ("gl", "pat-"), b"_-.", (20, 300)),
    form("gitlab_token", ("gl", "dt-"), b"_-", (20, 64)),
    form("gitlab_token", ("gl", "rt-"), b"_-", (20, 64)),
    form("gitlab_token", ("gl", "ptt-"), b"_-", (20, 64)),
    form("gitlab_token", ("gl", "cbt-"), b"_-", (20, 64)),
    form("slack_token", ("xo", "xb-"), b"-", (20, 255)),
    form("slack_token", ("xo", "xp-"), b"-", (20, 255)),
    form("slack_token", ("xo", "xa-"), b"-", (20, 255)),
    form("slack_token", ("xo", "xr-"), b"-", (20, 255)),
    form("slack_token", ("xo", "xs-"), b"-", (20, 255)),
    form("slack_token", ("xo", "xe-"), b"-.", (20, 255)),
    form("slack_token", ("xa", "pp-"), b"-", (20, 255)),
    form("slack_webhook", ("hooks.slack", ".com/services/"), b"/", (30, 90)),
    form("stripe_key", ("sk", "_live_"), b"", (16, 255)),
    form("stripe_key", ("rk", "_live_"), b"", (16, 255)),
    form("stripe_key", ("sk", "_test_"), b"", (16, 255)),
    form("stripe_key", ("rk", "_test_"), b"", (16, 255)),
    form("stripe_key", ("wh", "sec_"), b"", (24, 255)),
    form("google_api_key", ("AI", "za"), b"_-", (35, 35)),
    form("google_oauth_token", ("ya", "29."), b"_-", (20, 500)),
    form("google_oauth_secret", ("GO", "CSPX-"), b"_-", (24, 40)),
    form("anthropic_key", ("sk", "-ant-"), b"_-", (32, 255)),
    form("openai_key", ("sk", "-proj-"), b"_-", (40, 255)),
    form("openai_key", ("sk", "-svcacct-"), b"_-", (40, 255)),
    form("openai_key", ("sk", "-admin-"), b"_-", (40, 255)),
    form("openrouter_key", ("sk", "-or-v1-"), b"", (40, 128)),
    form("openai_key", ("sk", "-"), b"", (32, 64)),
    form("groq_key", ("gs", "k_"), b"", (40, 64)),
    form("xai_key", ("xa", "i-"), b"", (60, 100)),
    form("replicate_token", ("r8", "_"), b"", (30, 45)),
    form("perplexity_key", ("pp", "lx-"), b"", (32, 64)),
    form("huggingface_token", ("hf", "_"), b"", (30, 45)),
    form("npm_token", ("np", "m_"), b"", (36, 36)),
    form("pypi_token", ("py", "pi-"), b"_-", (50, 300)),
    form("rubygems_key", ("ruby", "gems_"), b"", (48, 48)),
    form("cargo_token", ("ci", "o"), b"", (32, 32)),
    form("docker_token", ("dckr", "_pat_"), b"_-", (24, 64)),
    form("sendgrid_key", ("S", "G."), b"_-.", (60, 80)),
    form("twilio_key", ("S", "K"), b"", (32, 32)),
    form("twilio_account", ("A", "C"), b"", (32, 32)),
    form("mailgun_key", ("ke", "y-"), b"", (32, 32)),
    form("mailchimp_key", ("md", "-"), b"_-", (22, 22)),
    form("vault_token", ("hv", "s."), b"_-", (24, 255)),
    form("vault_token", ("hv", "b."), b"_-", (24, 255)),
    form("vault_token", ("hv", "r."), b"_-", (24, 255)),
    form("digitalocean_token", ("do", "p_v1_"), b"", (64, 64)),
    form("digitalocean_token", ("do", "o_v1_"), b"", (64, 64)),
    form("digitalocean_token", ("do", "r_v1_"), b"", (64, 64)),
    form("shopify_token", ("shp", "at_"), b"", (32, 32)),
    form("shopify_token", ("shp", "ss_"), b"", (32, 32)),
    form("shopify_token", ("shp", "ca_"), b"", (32, 32)),
    form("square_token", ("sq0", "atp-"), b"_-", (22, 22)),
    form("square_token", ("sq0", "csp-"), b"_-", (43, 43)),
    form("square_token", ("EA", "AA"), b"_-", (56, 64)),
    form("databricks_token", ("da", "pi"), b"-", (32, 34)),
    form("grafana_token", ("gl", "sa_"), b"_", (38, 48)),
    form("grafana_token", ("gl", "c_"), b"+/=", (32, 400)),
    form("linear_key", ("lin", "_api_"), b"", (40, 40)),
    form("notion_token", ("nt", "n_"), b"", (40, 60)),
    form("postman_key", ("PM", "AK-"), b"-", (55, 62)),
    form("newrelic_key", ("NR", "AK-"), b"", (27, 27)),
    form("atlassian_token", ("AT", "ATT3x"), b"_-=", (100, 300)),
    form("airtable_token", ("pa", "t"), b".", (70, 90)),
    form("planetscale_token", ("pscale", "_tkn_"), b"_-.", (32, 64)),
    form("doppler_token", ("dp", ".pt."), b"", (40, 44)),
    form("terraform_token", ("at", "lasv1."), b"_-=", (60, 80)),
    form("pulumi_token", ("pu", "l-"), b"", (40, 40)),
    form("fly_token", ("fo", "1_"), b"_-", (40, 60)),
    form("age_key", ("AGE-SECRET", "-KEY-1"), b"", (58, 58)),
    form("facebook_token", ("EA", "ACEdEose0cBA"), b"", (20, 255)),
    form("telegram_webhook", ("api.telegram", ".org/bot"), b":_-", (40, 60)),
];

/// Forms by their first byte.
pub(super) struct Secrets {
    by_byte: Vec<Vec<&'static Form>>,
}

impl Secrets {
    /// All that are known.
    pub(super) fn all() -> &'static Self {
        static ALL: OnceLock<Secrets> = OnceLock::new();
        ALL.get_or_init(|| {
            let of = |byte: u8| {
                let begins = move |form: &&Form| form.begins.0.as_bytes().first() == Some(&byte);
                FORMS.iter().filter(begins).collect()
            };
            Self { by_byte: (0..=u8::MAX).map(of).collect() }
        })
    }

    /// The token that begins at a word.
    pub(super) fn at(&self, bytes: &[u8], start: usize) -> Option<Found> {
        let rest = bytes.get(start..)?;
        let forms = self.by_byte.get(usize::from(*rest.first()?))?;
        let known = forms.iter().find_map(|form| form.at(rest));
        let (kind, len, check) =
            known.or_else(|| jwt(rest)).or_else(|| dotted(bytes, start, rest))?;
        let evidence = Evidence { check, format: true, context: false };
        Some(Found { tag: Tag::Secret, kind, start, end: start + len, evidence })
    }
}

impl Form {
    fn at(&self, rest: &[u8]) -> Option<(&'static str, usize, bool)> {
        let body = rest.strip_prefix(self.begins.0.as_bytes())?;
        let body = body.strip_prefix(self.begins.1.as_bytes())?;
        let sign = |byte: &&u8| byte.is_ascii_alphanumeric() || self.also.contains(byte);
        let len = body.iter().take(self.length.1 + 1).take_while(sign).count();
        let body = body.get(..len)?;
        let fits = (self.length.0..=self.length.1).contains(&len)
            && is_random(body)
            && self.has_signs(body);
        let check = matches!(self.kind, "github_token" | "npm_token") && ends_with_sum(body);
        fits.then_some((
            self.kind,
            rest.len().min(self.begins.0.len() + self.begins.1.len() + len),
            check,
        ))
    }

    /// What the form asks of the signs beside their number.
    fn has_signs(&self, body: &[u8]) -> bool {
        let digits = body.iter().filter(|byte| byte.is_ascii_digit()).count();
        let hex = || body.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        let capitals = || body.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
        match self.kind {
            "aws_access_key_id" => capitals() && digits > 0 && !has_word(body, b"EXAMPLE"),
            "twilio_key" | "twilio_account" | "mailgun_key" | "databricks_token"
            | "digitalocean_token" | "shopify_token" => hex(),
            "sendgrid_key" => body.iter().filter(|byte| **byte == b'.').count() == 1,
            _ => digits > 0,
        }
    }
}

fn has_word(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

/// The last six signs are the checksum of those before.
fn ends_with_sum(body: &[u8]) -> bool {
    let Some((random, sum)) = body.split_at_checked(body.len().saturating_sub(6)) else {
        return false;
    };
    sum == base62(crc32(random))
}

/// Three parts in base64, of which the first is a JSON object (RFC 7519; `{"` encodes as `eyJ`).
fn jwt(rest: &[u8]) -> Option<(&'static str, usize, bool)> {
    /// Of a header, and of all three.
    const HEADER_MIN: usize = 16;
    const TOKEN_MAX: usize = 16 << 10;
    if !rest.starts_with(b"eyJ") {
        return None;
    }
    let sign =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    let len = rest.iter().take(TOKEN_MAX).take_while(sign).count();
    let text = rest.get(..len)?;
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
    let header = super::base64::texts(parts.first()?).into_iter().next()?.1;
    let decodes = header.starts_with('{') && header.contains("\"alg\"");
    let fits =
        parts.first()?.len() >= HEADER_MIN && parts.get(1).is_some_and(|part| part.len() > 3);
    (decodes && fits && parts.len() >= 3).then_some(("jwt", len, true))
}

/// Discord's tokens (an id in base64, a time, a signature) and Telegram's (an id, 35 signs).
fn dotted(bytes: &[u8], start: usize, rest: &[u8]) -> Option<(&'static str, usize, bool)> {
    if !matches!(rest.first(), Some(b'M' | b'N' | b'O' | b'0'..=b'9')) {
        return None;
    }
    let sign = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let word = rest.iter().take(40).take_while(sign).count();
    let tail = |from: usize, most: usize| {
        rest.get(from..).unwrap_or_default().iter().take(most).take_while(sign).count()
    };
    let before = start.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b' ');
    if before == b'.' || before == b'-' || before == b'_' {
        return None;
    }
    match rest.get(word) {
        Some(b'.')
            if (24..=28).contains(&word) && matches!(rest.first(), Some(b'M' | b'N' | b'O')) =>
        {
            let time = tail(word + 1, 8);
            let dot = rest.get(word + 1 + time) == Some(&b'.');
            let signature = tail(word + 8, 44);
            let fits = time == 6 && dot && (27..=40).contains(&signature);
            (fits && is_random(rest.get(..word)?)).then_some((
                "discord_token",
                word + 8 + signature,
                false,
            ))
        }
        Some(b':')
            if (8..=10).contains(&word) && rest.iter().take(word).all(u8::is_ascii_digit) =>
        {
            let secret = tail(word + 1, 40);
            let body = rest.get(word + 1..word + 1 + secret)?;
            let fits = secret == 35 && is_random(body) && body.iter().any(u8::is_ascii_uppercase);
            fits.then_some(("telegram_token", word + 36, false))
        }
        _ => None,
    }
}

/// A private key in PEM (RFC 7468) around the words of its first line.
pub(super) fn pem(bytes: &[u8], at: usize) -> Option<Found> {
    /// Of the first line before the words.
    const LABEL_MAX: usize = 40;
    /// Of what follows that line, up to which something encoded must stand.
    const BODY: usize = 400;
    let floor = at.saturating_sub(LABEL_MAX);
    let before = bytes.get(floor..at)?;
    let start = floor + memchr::memmem::rfind(before, b"-----BEGIN ")?;
    let rest = bytes.get(at..)?;
    let body = rest.get(..rest.len().min(BODY))?;
    let encoded = body
        .split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')))
        .any(|word| word.len() >= 40 && is_random(word));
    let end = memchr::memmem::find(rest, b"-----END").map_or(bytes.len(), |end| at + end);
    let evidence = Evidence { check: false, format: true, context: false };
    let found = Found { tag: Tag::Secret, kind: "private_key", start, end, evidence };
    encoded.then_some(found)
}
