//! Which key signs the audit log.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use maestro_evidence::key::{self, Signer};

use crate::notary::keys::Keys;

/// What tells which key signs now.
pub trait Signers: Send + Sync + std::fmt::Debug {
    /// The key.
    fn signer(&self) -> BoxFuture<'_, Result<Arc<dyn Signer>, key::Error>>;
}

/// A key that signs for ever.
#[derive(Debug, Clone)]
pub struct OneKey(pub Arc<dyn Signer>);

impl Signers for OneKey {
    fn signer(&self) -> BoxFuture<'_, Result<Arc<dyn Signer>, key::Error>> {
        std::future::ready(Ok(self.0.clone())).boxed()
    }
}

impl Signers for Keys {
    fn signer(&self) -> BoxFuture<'_, Result<Arc<dyn Signer>, key::Error>> {
        self.signer().boxed()
    }
}
