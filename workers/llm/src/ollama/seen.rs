//! What is known of a host: its version, the models that it has, what is loaded, memory of its GPUs.

use std::collections::BTreeMap;

/// A host as its last answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its version, where it says one that can be read.
    pub(crate) version: Option<Version>,
    /// The models that it has, by their full names, with their sizes in bytes.
    pub(crate) models: BTreeMap<String, u64>,
    /// Those that are loaded.
    pub(crate) loaded: BTreeMap<String, Loaded>,
    /// The memory of its GPUs, by its own word, or else by the configuration.
    pub(crate) gpu: Gpu,
}

/// A model in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Bytes in all.
    pub(crate) size: u64,
    /// Bytes of them in the memory of GPUs.
    pub(crate) size_vram: u64,
}

/// The memory of a host's GPUs, in bytes, where it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// In all.
    pub(crate) total: Option<u64>,
    /// What its own probe calls free.
    pub(crate) free: Option<u64>,
}

/// Major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads `0.12.6`, `0.5.0-rc1`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let plain = text.trim().trim_start_matches('v');
        let plain = plain.split(['-', '+']).next()?;
        let mut numbers = plain.split('.').map(|part| part.parse().ok());
        let mut next = || numbers.next().unwrap_or(Some(0));
        Some(Self(next()?, next()?, next()?))
    }
}

impl Seen {
    /// The memory of GPUs that is free for one more model, in bytes: what the host's probe says, or the
    /// total without what is loaded; less the models that calls under way are having loaded.
    pub(crate) fn free_bytes(&self, loading: impl Iterator<Item = u64>) -> Option<u64> {
        let taken = self.loaded.values().map(|one| one.size_vram).fold(0, u64::saturating_add);
        let free = match (self.gpu.free, self.gpu.total) {
            (Some(free), total) => free.min(total.unwrap_or(u64::MAX)),
            (None, Some(total)) => total.saturating_sub(taken),
            (None, None) => return None,
        };
        Some(loading.fold(free, u64::saturating_sub))
    }
}

/// A model's full name: without a tag Ollama means `latest`.
pub(crate) fn full_name(model: &str) -> String {
    let last = model.rsplit('/').next().unwrap_or(model);
    if last.contains(':') { model.to_owned() } else { format!("{model}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_means_the_latest_also_behind_a_registry_with_a_port() {
        assert_eq!(full_name("llama3.2"), "llama3.2:latest");
        assert_eq!(full_name("qwen3:32b"), "qwen3:32b");
        assert_eq!(full_name("reg:5000/team/own"), "reg:5000/team/own:latest");
    }

    #[test]
    fn versions_are_read_with_what_follows_them() {
        assert_eq!(Version::read("0.12.6"), Some(Version(0, 12, 6)));
        assert_eq!(Version::read("v0.5.0-rc1"), Some(Version(0, 5, 0)));
        assert_eq!(Version::read("1"), Some(Version(1, 0, 0)));
        assert_eq!(Version::read("unknown"), None);
        assert!(Version(0, 4, 9) < Version(0, 5, 0));
    }

    #[test]
    fn free_memory_is_the_probes_word_or_the_total_without_what_is_loaded_or_loading() {
        let loaded = BTreeMap::from([("a:latest".to_owned(), Loaded { size: 9, size_vram: 6 })]);
        let seen = |total, free| Seen {
            loaded: loaded.clone(),
            gpu: Gpu { total, free },
            ..Seen::default()
        };
        assert_eq!(seen(None, None).free_bytes([].into_iter()), None);
        assert_eq!(seen(Some(10), None).free_bytes([].into_iter()), Some(4));
        assert_eq!(seen(Some(10), Some(7)).free_bytes([3].into_iter()), Some(4));
        assert_eq!(seen(Some(5), Some(9)).free_bytes([].into_iter()), Some(5));
        assert_eq!(seen(Some(10), None).free_bytes([u64::MAX].into_iter()), Some(0));
    }
}
