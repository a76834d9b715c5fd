//! What is not as it was signed, for people and for programs.

use std::fmt;

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In its bundle in object storage.
    Bundle,
    /// As a hash in its tile in object storage.
    Tile,
    /// As a row in the database.
    Row,
}

/// What is not as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An entry was changed.
    Changed {
        /// Its place.
        place: u64,
        /// What it is named by, where that can be told.
        id: Option<String>,
        /// Where it was changed.
        at: Where,
        /// Which of its fields, where that can be told.
        fields: Vec<String>,
    },
    /// An entry's row is not there.
    Dropped {
        /// Its place.
        place: u64,
        /// What it is named by.
        id: Option<String>,
    },
    /// An entry's row has another place than it had.
    Reordered {
        /// Its place.
        place: u64,
        /// What it is named by.
        id: Option<String>,
        /// The place that its row has now.
        now: u64,
    },
    /// A row has a place that is not its own.
    Added {
        /// The place.
        place: u64,
        /// What it is named by.
        id: Option<String>,
    },
    /// An object is not there, or cannot be read.
    Unreadable {
        /// Which.
        path: String,
    },
    /// A tile does not follow from the entries.
    Tile {
        /// Which.
        path: String,
    },
    /// A signed tree is neither that of the bundles, nor that of the tiles, nor that of the rows.
    Forked {
        /// The last signed tree before it that is the beginning of one of them.
        after: u64,
        /// How many entries it has.
        size: u64,
    },
    /// A tree was signed that is larger than the newest.
    RolledBack {
        /// How many entries the newest has.
        newest: u64,
        /// How many the other has.
        signed: u64,
    },
}

impl Finding {
    /// The place that it is about, where it is about one.
    pub fn place(&self) -> Option<u64> {
        match self {
            Self::Changed { place, .. }
            | Self::Dropped { place, .. }
            | Self::Reordered { place, .. }
            | Self::Added { place, .. } => Some(*place),
            Self::Unreadable { .. } | Self::Tile { .. } => None,
            Self::Forked { .. } | Self::RolledBack { .. } => None,
        }
    }

    /// One word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Dropped { .. } => "dropped",
            Self::Reordered { .. } => "reordered",
            Self::Added { .. } => "added",
            Self::Unreadable { .. } => "unreadable",
            Self::Tile { .. } => "tile",
            Self::Forked { .. } => "forked",
            Self::RolledBack { .. } => "rolled_back",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |place: &u64, id: &Option<String>| match id {
            Some(id) => format!("entry {place} ({id})"),
            None => format!("entry {place}"),
        };
        match self {
            Self::Changed { place, id, at, fields } => {
                let at = match at {
                    Where::Bundle => "its bundle in object storage",
                    Where::Tile => "its tile in object storage",
                    Where::Row => "its row in the database",
                };
                write!(f, "{} was changed in {at}", name(place, id))?;
                if fields.is_empty() { Ok(()) } else { write!(f, ": {}", fields.join(", ")) }
            }
            Self::Dropped { place, id } => {
                write!(f, "{} has no row in the database any more", name(place, id))
            }
            Self::Reordered { place, id, now } => {
                write!(f, "{} has the place {now} in the database now", name(place, id))
            }
            Self::Added { place, id } => {
                let id = id.as_deref().unwrap_or("without an id");
                write!(f, "a row {id} claims the place {place} and is not the entry there")
            }
            Self::Unreadable { path } => write!(f, "{path} is missing or cannot be read"),
            Self::Tile { path } => write!(f, "{path} does not follow from the entries"),
            Self::Forked { after, size } => write!(
                f,
                "the signed tree of {size} entries is not the one that is there; entries from {after} on, below {size}, were changed everywhere, or two trees were signed"
            ),
            Self::RolledBack { newest, signed } => write!(
                f,
                "the newest checkpoint is over {newest} entries, and one over {signed} was signed before"
            ),
        }
    }
}
