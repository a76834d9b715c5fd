//! Why an image was not built, in the words of who wrote the step.

use std::fmt;

use maestro_kit::evidence::image;

use super::credentials;
use super::registry;

/// What was refused, where, what was expected instead, and what would help.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    what: String,
    hint: &'static str,
    transient: bool,
}

impl Refusal {
    /// A parameter that cannot be carried out; `what` begins with its name.
    pub(crate) fn parameter(what: impl Into<String>, hint: &'static str) -> Self {
        Self { code: "MAE-7030", what: what.into(), hint, transient: false }
    }

    /// A program of the worker's host that is not there.
    pub(crate) fn no_buildah() -> Self {
        Self {
            code: "MAE-7032",
            what: "the worker has no program buildah, which builds Dockerfiles; \
                   expected it on the worker's PATH"
                .into(),
            hint: "on Debian: apt install buildah; or build from `files`, which needs no program",
            transient: false,
        }
    }

    /// Whether trying again may help.
    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.code, self.what, self.hint)
    }
}

impl std::error::Error for Refusal {}

impl From<image::Error> for Refusal {
    fn from(error: image::Error) -> Self {
        let mut what = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            what = format!("{what}: {cause}");
        }
        let hint = "a base is an OCI image layout as container.build, buildah or skopeo write it";
        Self { code: "MAE-7031", what, hint, transient: false }
    }
}

impl From<registry::Error> for Refusal {
    fn from(error: registry::Error) -> Self {
        let transient = error.is_transient();
        Self { code: error.code(), what: error.to_string(), hint: error.hint(), transient }
    }
}

impl From<credentials::Error> for Refusal {
    fn from(error: credentials::Error) -> Self {
        let hint = "the worker's operator names a Docker config.json in MAESTRO_REGISTRY_AUTH";
        Self { code: "MAE-7033", what: error.to_string(), hint, transient: false }
    }
}
