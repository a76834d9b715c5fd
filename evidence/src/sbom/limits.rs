//! How much is read, and how much may come of it.

/// Bounds on what is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one file.
    pub file_bytes_max: u64,
    /// The most bytes of all files together.
    pub total_bytes_max: u64,
    /// The most files that tell of packages.
    pub files_max: usize,
    /// The most entries of a directory that are looked at.
    pub entries_max: usize,
    /// The deepest that a file may lie: the most names in its path.
    pub depth_max: usize,
    /// The most packages of a document.
    pub components_max: usize,
    /// The most edges between packages.
    pub edges_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 64 << 20,
            total_bytes_max: 256 << 20,
            files_max: 10_000,
            entries_max: 1_000_000,
            depth_max: 64,
            components_max: 100_000,
            edges_max: 1_000_000,
        }
    }
}
