//! What wraps data keys. A key-encryption key leaves its place never: not its file, not its service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The bytes of a data key.
pub const DATA_KEY_BYTES: usize = 32;

/// A data key: 256 random bits, for one value. Wiped from memory when it is dropped.
pub type DataKey = Zeroizing<[u8; DATA_KEY_BYTES]>;

/// What a data key belongs to. Whoever unwraps it with another context gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The project.
    pub project: String,
    /// The secret's name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

impl fmt::Display for Context {
    /// As it is authenticated. Neither a project nor a name holds a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "maestro secret v1\n{}\n{}\n{}", self.project, self.name, self.version)
    }
}

/// A wrapped data key, and which key-encryption key wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The id of the key-encryption key.
    pub kek: String,
    /// What only that key unwraps.
    pub bytes: Vec<u8>,
}

/// Why a data key was not wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key-encryption key is not there.
    #[error("the key-encryption key {id} is not there")]
    Unknown {
        /// Its id.
        id: String,
    },
    /// The wrapped key, its context or the key-encryption key is another one.
    #[error("the data key does not belong to this key-encryption key and this secret")]
    Mismatch,
    /// Where the keys are does not answer, or not with keys.
    #[error("key-encryption keys cannot be used: {message}")]
    Unavailable {
        /// What was found and what was expected.
        message: String,
        /// Whether it may go by itself.
        transient: bool,
    },
}

/// Several places of keys: the first wraps, and each unwraps what it wrapped.
#[derive(Debug)]
pub struct Several {
    first: Arc<dyn Kek>,
    others: Vec<Arc<dyn Kek>>,
}

impl Several {
    /// `first` and those that only unwrap.
    pub fn of(first: Arc<dyn Kek>, others: Vec<Arc<dyn Kek>>) -> Self {
        Self { first, others }
    }
}

impl Kek for Several {
    fn current(&self) -> Answer<'_, String> {
        self.first.current()
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a Context) -> Answer<'a, Wrapped> {
        self.first.wrap(key, context)
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> Answer<'a, DataKey> {
        Box::pin(async move {
            for place in [&self.first].into_iter().chain(&self.others) {
                match place.unwrap(wrapped, context).await {
                    Err(Error::Unknown { .. }) => {}
                    known => return known,
                }
            }
            Err(Error::Unknown { id: wrapped.kek.clone() })
        })
    }
}

/// What a key service answers.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Wraps and unwraps data keys: a file of keys, or a key service.
pub trait Kek: fmt::Debug + Send + Sync {
    /// The id of the key that wraps from now on.
    fn current(&self) -> Answer<'_, String>;

    /// Wraps a data key by the current key.
    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a Context) -> Answer<'a, Wrapped>;

    /// Unwraps a data key by whichever key wrapped it.
    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> Answer<'a, DataKey>;
}
