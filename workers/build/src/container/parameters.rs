//! What a `container.build` step may say in `with`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::parameters::Word;

/// Parameters of `container.build`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Container {
    /// The registry and what stands before the image's name in it, as `ghcr.io/intelgraph`.
    #[serde(default)]
    pub(crate) registry: Option<String>,
    /// The image's name; the pipeline's where absent.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// One or several tags; `latest` where absent.
    #[serde(default)]
    pub(crate) tags: Option<Words>,
    /// What the image is put upon: `scratch`, or an OCI image layout in the workspace.
    #[serde(default)]
    pub(crate) base: Option<String>,
    /// What goes into the image: globs of the workspace's files with where they go, or a list of
    /// globs whose files keep their paths below `workdir`; all files where absent.
    #[serde(default)]
    pub(crate) files: Option<Files>,
    /// Globs of files that do not go into the image.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// The program, with its first arguments.
    #[serde(default)]
    pub(crate) entrypoint: Option<Words>,
    /// Its further arguments.
    #[serde(default)]
    pub(crate) cmd: Option<Words>,
    /// Variables of the image.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Word>,
    /// Who the program runs as.
    #[serde(default)]
    pub(crate) user: Option<Word>,
    /// Where the program starts; `/app` where absent and nothing else is its base.
    #[serde(default)]
    pub(crate) workdir: Option<String>,
    /// Labels of the image.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, Word>,
    /// Ports that the program listens on, as `8080` or `53/udp`.
    #[serde(default)]
    pub(crate) ports: Vec<Word>,
    /// What the image runs on, as `linux/amd64`; the worker's own, or the base's, where absent.
    #[serde(default)]
    pub(crate) platform: Option<String>,
    /// A Dockerfile, which buildah builds.
    #[serde(default)]
    pub(crate) dockerfile: Option<String>,
    /// The directory that a Dockerfile copies from; the workspace where absent.
    #[serde(default)]
    pub(crate) context: Option<String>,
    /// Values of a Dockerfile's `ARG`s.
    #[serde(default)]
    pub(crate) build_args: BTreeMap<String, Word>,
    /// The stage of a Dockerfile that is the image.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// Whether the image is pushed; where absent, it is if the worker has credentials for the
    /// registry.
    #[serde(default)]
    pub(crate) push: Option<bool>,
    /// Whether a list of what is in the image is kept with it.
    #[serde(default)]
    pub(crate) sbom: bool,
    /// Whether the image's digest is to be signed; the coordinator does, no worker has a key.
    #[serde(default)]
    pub(crate) sign: bool,
    /// Where in the workspace the image's layout is put, for the step's `artifacts`.
    #[serde(default)]
    pub(crate) layout: Option<String>,
    /// Counts for the step's key and for nothing else.
    #[serde(default)]
    pub(crate) cache_key: Option<serde_json::Value>,
}

/// One word, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Words {
    /// Several.
    Many(Vec<Word>),
    /// One.
    One(Word),
}

/// Which files go where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Files {
    /// Globs whose files keep their paths below the image's working directory.
    Kept(Vec<String>),
    /// Globs, each with where its files go.
    Placed(BTreeMap<String, String>),
}

impl Words {
    /// The words as texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Self::One(Word(word)) => vec![word.clone()],
            Self::Many(words) => words.iter().map(|Word(word)| word.clone()).collect(),
        }
    }
}
