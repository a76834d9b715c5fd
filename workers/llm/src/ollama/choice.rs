//! Which host a call goes to: a pure function of what is known of the hosts.
//!
//! Of the hosts that may be asked, one that has the model loaded goes first (wholly in its GPUs before
//! partly), then one that a call of this worker is having it loaded on, then one whose free GPU memory
//! holds it, then any. Among those of one kind the one with the fewest calls under way is taken, then the
//! one with the most free memory, then the first of the configuration.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::seen::{Seen, Version};

/// The first version that takes a JSON Schema as `format`.
const SCHEMA_SINCE: Version = Version(0, 5, 0);

/// What a call needs of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The model's full name.
    pub(crate) model: String,
    /// Whether the answer must fit a schema.
    pub(crate) has_schema: bool,
    /// Where it may be worked on, by the step's word; empty is anywhere.
    pub(crate) permitted: Vec<String>,
    /// Where the router says that the model runs.
    pub(crate) home: Option<String>,
    /// The hosts that this call has tried, by their places.
    pub(crate) tried: BTreeSet<usize>,
    /// Whether hosts that failed lately are asked too: there is nobody else.
    pub(crate) is_last_resort: bool,
}

/// A host at the moment of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What is known of it, or in words why it does not answer.
    pub(crate) seen: Result<Seen, String>,
    /// Why it is left alone for a while, in words.
    pub(crate) shunned: Option<String>,
    /// Where it runs.
    pub(crate) jurisdiction: Option<String>,
    /// The most calls at once.
    pub(crate) max_concurrency: Option<u32>,
    /// Calls of this worker under way, by the model's full name.
    pub(crate) calls: BTreeMap<String, u32>,
}

/// The host that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Its place among the hosts.
    pub(crate) place: usize,
    /// Why it.
    pub(crate) why: Why,
}

/// Why a host is asked before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The model is loaded, all of it in GPUs.
    Loaded,
    /// The model is loaded, some of it outside the GPUs.
    PartlyLoaded,
    /// Another call of this worker is having it loaded.
    Loading,
    /// Its free GPU memory holds the model.
    Fits {
        /// Free, in bytes.
        free: u64,
        /// The model's size, in bytes.
        size: u64,
    },
    /// It has the fewest calls under way.
    FewestCalls(u32),
}

impl Why {
    /// The kinds in their order; what they hold does not count.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Loaded => 0,
            Self::PartlyLoaded => 1,
            Self::Loading => 2,
            Self::Fits { .. } => 3,
            Self::FewestCalls(_) => 4,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded => f.write_str("it has the model loaded"),
            Self::PartlyLoaded => f.write_str("it has the model loaded, partly outside its GPUs"),
            Self::Loading => f.write_str("it is loading the model for another call"),
            Self::Fits { free, size } => {
                write!(f, "{} of its GPUs are free for {}", gib(*free), gib(*size))
            }
            Self::FewestCalls(calls) => write!(f, "it has {calls} calls under way, the fewest"),
        }
    }
}

/// Why a host is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// This call has tried it.
    Tried,
    /// It stands elsewhere than is permitted, or nobody said where.
    Elsewhere(String),
    /// It failed lately, in words.
    Shunned(String),
    /// It does not answer, in words.
    Away(String),
    /// It has not this model.
    Lacks,
    /// Its version takes no schema.
    Old(Version),
    /// As many calls as it may have are under way.
    Full(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tried => f.write_str("it was tried"),
            Self::Elsewhere(words) | Self::Shunned(words) | Self::Away(words) => f.write_str(words),
            Self::Lacks => f.write_str("it has no such model"),
            Self::Old(version) => {
                write!(f, "Ollama {version} takes no schema; {SCHEMA_SINCE} and later do")
            }
            Self::Full(calls) => write!(f, "{calls} calls are under way, as many as it may have"),
        }
    }
}

/// Chooses, or says of each host why not that one, in their order.
pub(crate) fn choose(wanted: &Wanted, hosts: &[Standing]) -> Result<Chosen, Vec<Reason>> {
    let mut reasons = Vec::new();
    let mut fit = Vec::new();
    for (place, host) in hosts.iter().enumerate() {
        match candidate(wanted, place, host) {
            Ok(candidate) => fit.push(candidate),
            Err(reason) => reasons.push(reason),
        }
    }
    let best = fit.into_iter().min_by_key(|(chosen, calls, free)| {
        (chosen.why.rank(), *calls, Reverse(free.unwrap_or(0)), chosen.place)
    });
    best.map(|(chosen, ..)| chosen).ok_or(reasons)
}

type Candidate = (Chosen, u32, Option<u64>);

fn candidate(wanted: &Wanted, place: usize, host: &Standing) -> Result<Candidate, Reason> {
    if wanted.tried.contains(&place) {
        return Err(Reason::Tried);
    }
    elsewhere(wanted, host).map_or(Ok(()), |words| Err(Reason::Elsewhere(words)))?;
    if let Some(words) = host.shunned.as_ref().filter(|_| !wanted.is_last_resort) {
        return Err(Reason::Shunned(words.clone()));
    }
    let seen = host.seen.as_ref().map_err(|words| Reason::Away(words.clone()))?;
    let size = *seen.models.get(&wanted.model).ok_or(Reason::Lacks)?;
    if let Some(version) = seen.version.filter(|version| *version < SCHEMA_SINCE)
        && wanted.has_schema
    {
        return Err(Reason::Old(version));
    }
    let calls = host.calls.values().fold(0_u32, |sum, calls| sum.saturating_add(*calls));
    if host.max_concurrency.is_some_and(|most| calls >= most) {
        return Err(Reason::Full(calls));
    }
    let free = seen.free_bytes(loading(host, seen));
    let why = match seen.loaded.get(&wanted.model) {
        Some(loaded) if loaded.size_vram >= loaded.size => Why::Loaded,
        Some(_) => Why::PartlyLoaded,
        None if host.calls.contains_key(&wanted.model) => Why::Loading,
        None => match free.filter(|free| *free >= size) {
            Some(free) => Why::Fits { free, size },
            None => Why::FewestCalls(calls),
        },
    };
    Ok((Chosen { place, why }, calls, free))
}

/// The sizes of models that calls under way are having loaded.
fn loading<'a>(host: &'a Standing, seen: &'a Seen) -> impl Iterator<Item = u64> + 'a {
    let models = host.calls.keys().filter(|model| !seen.loaded.contains_key(*model));
    models.filter_map(|model| seen.models.get(model).copied())
}

/// In words why a host stands where the content may not go. One that does not say where it is, is taken to
/// be where the router says that the model runs.
fn elsewhere(wanted: &Wanted, host: &Standing) -> Option<String> {
    let place = host.jurisdiction.as_ref().or(wanted.home.as_ref()).map(|one| one.to_lowercase());
    let within =
        |permitted: &str| place.as_deref().is_some_and(|place| is_within(place, permitted));
    let told = || place.clone().unwrap_or_else(|| "a place that is not configured".to_owned());
    let permitted = &wanted.permitted;
    if !permitted.is_empty() && !permitted.iter().any(|one| within(&one.to_lowercase())) {
        return Some(format!("permitted is {}; it runs in {}", permitted.join(", "), told()));
    }
    let home = wanted.home.as_ref().filter(|home| !within(&home.to_lowercase()))?;
    Some(format!("the router permits the model in {home}; it runs in {}", told()))
}

/// Whether a place is the permitted one or a part of it: `eu-de` is within `eu`.
fn is_within(place: &str, permitted: &str) -> bool {
    place.strip_prefix(permitted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests;
