//! What went wrong with a request, as RFC 9457 has it. Each kind has a stable code with a page in
//! `docs/errors/`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maestro_schemas::api::problem::Problem;
use maestro_schemas::verdict::Reason;

use crate::{app, store};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal, $hint:expr;)*) => {
        /// What can go wrong with a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A few words that are the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do about it, where one thing helps always.
            pub const fn hint(self) -> Option<&'static str> {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

kinds! {
    /// No token, or none that is known.
    NoToken = "MAE-2001", 401, "not authenticated", Some("send `Authorization: Bearer TOKEN` with a token of this server");
    /// The token's roles do not reach.
    Forbidden = "MAE-2002", 403, "not permitted", Some("ask an admin of the project for a token with that role");
    /// No such path.
    NoRoute = "MAE-2003", 404, "no such path", None;
    /// The path does not take the method.
    NoMethod = "MAE-2004", 405, "method not allowed", None;
    /// No such run, plan, step or object in the project.
    NotFound = "MAE-2005", 404, "not found", None;
    /// The body is not what it must be.
    Body = "MAE-2006", 400, "malformed body", None;
    /// A value in the path, the query or a header is not what it must be.
    Parameter = "MAE-2007", 400, "malformed parameter", None;
    /// The body is too large.
    TooLarge = "MAE-2008", 413, "body too large", None;
    /// It took too long.
    TimedOut = "MAE-2009", 504, "timed out", Some("try again; a submission under the same idempotency key is made once");
    /// The idempotency key was used for another request.
    KeyTaken = "MAE-2010", 409, "idempotency key taken", Some("use a new key for a new request");
    /// The plan or pipeline cannot be run.
    Unsound = "MAE-2011", 422, "unsound plan", None;
    /// The server failed.
    Fault = "MAE-2012", 500, "server fault", Some("the server's log has the cause");
    /// Something that is needed does not answer.
    Unavailable = "MAE-2013", 503, "unavailable", Some("try again in a few seconds");
    /// The bytes have another digest.
    Mismatch = "MAE-2014", 422, "digest mismatch", None;
    /// The headers or the path are too large.
    HeadersTooLarge = "MAE-2015", 431, "headers too large", None;
    /// Rules forbid every model.
    NoModelAllowed = "MAE-4002", 403, "no model may serve this request", Some("the detail names the rule for each deployment");
    /// An order of goals that cannot be read.
    Objectives = "MAE-4003", 400, "malformed objectives", None;
    /// A field of a request to the router passes its limit.
    RouteField = "MAE-4004", 400, "malformed request to the router", None;
    /// No model can serve at this moment.
    NoModelNow = "MAE-4011", 503, "no model can serve this request now", Some("ask again later, or with wider bounds");
    /// There is no configuration of the router.
    NoRouter = "MAE-4012", 404, "no router", Some("start the server with --router-config deploy/router/litellm.yaml");
    /// The policies forbid the prompt.
    PromptDenied = "MAE-4013", 403, "the prompt may not be used", Some("the detail names the rule; docs/prompts.md says how a version gets a label");
    /// A text is no prompt.
    UnfitPrompt = "MAE-6001", 422, "not a prompt", None;
    /// The entry waits to be signed.
    Unlogged = "MAE-7074", 409, "not in the audit log yet", Some("try again in a few seconds; a coordinator with keys signs what waits");
    /// What stands in object storage is not the tree that was signed.
    AuditBroken = "MAE-7073", 500, "the audit log is broken", Some("`maestro audit verify` names what was changed");
    /// The policies forbid the promotion.
    PromotionDenied = "MAE-7100", 403, "the promotion is denied", Some("each reason says what would make it pass; docs/supply-chain.md has the policies' fields");
    /// The artifact's evidence does not hold, or is not there.
    Unproven = "MAE-7101", 409, "the artifact has no good evidence", Some("`maestro verify DIGEST` names the link that fails; a run is signed within seconds of its end");
    /// There is no key to sign with.
    NoSigner = "MAE-7102", 409, "the server signs nothing", Some("start the coordinator that serves the API with --keys");
    /// A value cannot be a secret.
    SecretUnfit = "MAE-7050", 422, "not a secret", None;
    /// The secret is set.
    SecretExists = "MAE-7051", 409, "the secret is set", Some("`maestro secrets rotate NAME` gives it a new value");
    /// No version of the secret is given out.
    NoSecret = "MAE-7052", 404, "no such secret", Some("`maestro secrets list` shows what there is, and `maestro secrets set NAME` sets one");
    /// The server has no key-encryption key.
    NoKeys = "MAE-7053", 409, "no key-encryption key", Some("start the server with --secrets-key-file FILE; `maestro secrets keys init FILE` makes one");
    /// The project or the secret is full.
    SecretsFull = "MAE-7054", 409, "too many secrets", None;
    /// An execution may not have what it asks for.
    SecretDenied = "MAE-7055", 403, "the secrets are not this execution's", None;
    /// The key-encryption keys cannot be used.
    KeysRefused = "MAE-7061", 500, "the keys of secrets cannot be used", Some("see the server's log: a file's mode, or a permission at the key service");
    /// A secret cannot be decrypted.
    SecretLost = "MAE-7056", 500, "the secret cannot be decrypted", Some("put the key back into the server's key file, or set the secret anew");
    /// Too many streams are open.
    TooManyStreams = "MAE-2016", 503, "too many streams", Some("try again later");
}

/// A request that has no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<Problem>);

impl Refusal {
    /// A refusal that says what was found and what was expected, this time.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            kind: format!("/docs/errors/{}", kind.code()),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            code: kind.code().to_owned(),
            hint: kind.hint().map(str::to_owned),
            reasons: Vec::new(),
        }))
    }

    /// What the shard's owner refused; the code is its.
    fn of_owner(code: String, detail: String) -> Self {
        Self(Box::new(Problem {
            kind: format!("/docs/errors/{code}"),
            title: "refused".to_owned(),
            status: 409,
            detail,
            code,
            hint: None,
            reasons: Vec::new(),
        }))
    }

    /// The same, with what policies have against it.
    fn because(mut self, reasons: Vec<Reason>) -> Self {
        self.0.reasons = reasons;
        self
    }

    /// The document.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// The document, given away.
    pub fn into_problem(self) -> Problem {
        *self.0
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the database failed a request");
        match error {
            store::Error::Database { .. } => {
                Self::new(Kind::Unavailable, "the database does not answer now")
            }
            _ => Self::new(Kind::Fault, "the server found something that it cannot read"),
        }
    }
}

impl From<app::Error> for Refusal {
    fn from(error: app::Error) -> Self {
        let detail = error.to_string();
        match error {
            app::Error::Store(error) => error.into(),
            app::Error::Objects(error) => of_objects(&error),
            app::Error::NotFound { .. } => Self::new(Kind::NotFound, detail),
            app::Error::Invalid { .. } => Self::new(Kind::Parameter, detail),
            app::Error::KeyTaken { .. } => Self::new(Kind::KeyTaken, detail),
            app::Error::UnfitPrompt { .. } => Self::new(Kind::UnfitPrompt, detail),
            app::Error::Secret(fault) => of_secret(&fault),
            app::Error::Unsound(_) => Self::new(Kind::Unsound, detail),
            app::Error::Refused { code, message } => Self::of_owner(code, message),
            app::Error::Mismatch { .. } => Self::new(Kind::Mismatch, detail),
            app::Error::Unlogged(_) => Self::new(Kind::Unlogged, detail),
            app::Error::Broken(_) => {
                tracing::error!(event = "audit_broken", detail, "the audit log is broken");
                Self::new(Kind::AuditBroken, detail)
            }
            app::Error::Denied { reasons, .. } => {
                Self::new(Kind::PromotionDenied, detail).because(reasons)
            }
            app::Error::Unproven(_) => Self::new(Kind::Unproven, detail),
            app::Error::NoSigner => Self::new(Kind::NoSigner, detail),
            app::Error::Unavailable(_) => Self::new(Kind::Unavailable, detail),
        }
    }
}

fn of_secret(fault: &app::secrets::Fault) -> Refusal {
    use app::secrets::Fault;
    let kind = match fault {
        Fault::Unfit(_) => Kind::SecretUnfit,
        Fault::Exists(_) => Kind::SecretExists,
        Fault::Missing(_) => Kind::NoSecret,
        Fault::NoKeys => Kind::NoKeys,
        Fault::Full(_) => Kind::SecretsFull,
        Fault::Undeclared(_) => Kind::SecretDenied,
        Fault::Lost { .. } => Kind::SecretLost,
        Fault::KeysAway(_) => Kind::Unavailable,
        Fault::KeysRefused(_) => Kind::KeysRefused,
    };
    if let Fault::Lost { .. } | Fault::KeysAway(_) | Fault::KeysRefused(_) = fault {
        app::secrets::tell(fault);
    }
    Refusal::new(kind, fault.to_string())
}

fn of_objects(error: &maestro_evidence::store::Error) -> Refusal {
    use maestro_evidence::store::Error;
    match error {
        Error::TooLarge { .. } => Refusal::new(Kind::TooLarge, error.to_string()),
        Error::Source(_) => Refusal::new(Kind::Body, "the body ended before its end"),
        error if error.is_transient() => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "object storage failed a request"
            );
            Refusal::new(Kind::Unavailable, "object storage does not take or give bytes now")
        }
        error => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "object storage failed a request"
            );
            Refusal::new(Kind::Fault, "object storage failed")
        }
    }
}
