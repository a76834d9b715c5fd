//! Where models are called.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// An address that speaks OpenAI's protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As `http://127.0.0.1:4000`; paths such as `/v1/chat/completions` are put behind it.
    pub url: String,
    /// The key of its `Authorization` header.
    pub key: Option<String>,
    /// What to say of every answer, where no model is asked at all.
    pub offline: Option<String>,
}

impl fmt::Debug for Endpoint {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("offline", &self.offline).finish()
    }
}

/// An endpoint, or in words why there is none now.
pub type Found = Pin<Box<dyn Future<Output = Result<Endpoint, String>> + Send>>;

/// Somebody who keeps an endpoint ready: local mode, which starts a proxy when a step first needs
/// it, and again where it has died.
pub trait Keeper: Send + Sync + 'static {
    /// The endpoint, once it takes requests.
    fn endpoint(&self) -> Found;
}

/// Where a worker calls models.
#[derive(Clone)]
pub enum Gateway {
    /// At this address, which is somebody else's service.
    At(Endpoint),
    /// Wherever its keeper has it.
    Kept(Arc<dyn Keeper>),
    /// Nowhere: the worker calls own servers alone.
    Nowhere,
}

impl Gateway {
    /// Where calls go now.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint, String> {
        match self {
            Self::At(endpoint) => Ok(endpoint.clone()),
            Self::Kept(keeper) => keeper.endpoint().await,
            Self::Nowhere => Err("this worker was started without one".to_owned()),
        }
    }
}
