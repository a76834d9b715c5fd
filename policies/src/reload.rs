//! The policies that hold: the global bundle and one for each project, read again while Maestro runs.
//!
//! `<root>/global/` is asked about everything, `<root>/projects/<name>/` about that project too, and
//! both have to allow. [`Policies::poll`] reads what changed. A bundle with a fault keeps the former one
//! in force, and the fault stays in the [`Status`] until it is mended. What was there and is gone denies:
//! the directory, a project's bundle, or the last file that declared a hook's package. To take a policy
//! away, leave a file that declares its package and says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::verdict::{Hook, Reason, Verdict};
use serde::Serialize;

use crate::bundle::Bundle;
use crate::engine::{Compiled, Evaluator, Question};
use crate::fault::Fault;
use crate::input::Input;
use crate::verdict::reason;

/// There are no more projects with policies of their own.
pub const PROJECTS_MAX: usize = 1000;
/// The directory that is asked about everything.
pub const GLOBAL: &str = "global";
/// The directory of the projects' own.
pub const PROJECTS: &str = "projects";

/// The handle. Cheap to clone; all clones see the same version.
#[derive(Debug, Clone)]
pub struct Policies {
    root: Arc<Path>,
    held: Arc<RwLock<Arc<Version>>>,
}

/// What holds, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Counts changes since the start, from 1.
    pub version: u64,
    /// Over all bundles that hold.
    pub digest: Digest,
    /// The bundles that hold, as `global` and `projects/acme`.
    pub loaded: Vec<String>,
    /// What is wrong with bundles that therefore did not take the place of the former ones, and
    /// what is gone. Anything here is an alarm.
    pub faults: Vec<Fault>,
}

/// All bundles at one time.
#[derive(Debug, Default)]
struct Version {
    number: u64,
    places: BTreeMap<String, Slot>,
    fault: Option<Fault>,
}

/// What is known of one bundle's directory.
#[derive(Debug, Clone, Default)]
struct Slot {
    compiled: Option<Arc<Compiled>>,
    /// The digest that was last looked at, good or not.
    seen: Option<Digest>,
    faults: Vec<Fault>,
    gone: bool,
    /// The hooks that had a policy here once.
    had: BTreeSet<Hook>,
}

impl Policies {
    /// Reads a directory for the first time. Never fails: what cannot be read denies.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        let root: PathBuf = root.into();
        let policies = Self { root: root.into(), held: Arc::default() };
        policies.poll();
        policies
    }

    /// Reads what changed, and says what holds now.
    pub fn poll(&self) -> Status {
        let former = self.version();
        let next = Arc::new(former.next(&self.root));
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        next.status()
    }

    /// What holds.
    pub fn status(&self) -> Status {
        self.version().status()
    }

    /// Answers for one thread, always by the newest version.
    pub fn session(&self) -> Session {
        Session { version: self.version(), policies: self.clone(), evaluators: BTreeMap::new() }
    }

    fn version(&self) -> Arc<Version> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks the policies that hold. For one thread at a time.
#[derive(Debug)]
pub struct Session {
    policies: Policies,
    version: Arc<Version>,
    evaluators: BTreeMap<String, (Digest, Evaluator)>,
}

impl Session {
    /// The answer of the global bundle and of the project's own.
    pub fn verdict<I: Input>(&mut self, project: &ProjectName, input: &I) -> Verdict {
        self.version = self.policies.version();
        let question = Question::of(input);
        let own = format!("{PROJECTS}/{project}");
        let mut reasons = Vec::new();
        let mut digests = Vec::new();
        for place in [GLOBAL, own.as_str()] {
            let version = self.version.clone();
            match version.places.get(place) {
                Some(slot) => {
                    digests.extend(slot.compiled.as_ref().map(|compiled| compiled.digest()));
                    reasons.extend(self.ask(place, slot, &question));
                }
                None if place == GLOBAL => reasons.push(reason(place, "no bundle was ever loaded")),
                None => {}
            }
        }
        question.verdict(reasons, together(&digests))
    }

    /// Whether a question at a hook could be denied: a rule decides it, or a bundle that should be there
    /// is not. Where it could not, whoever has many questions need not ask them.
    pub fn may_deny(&mut self, project: &ProjectName, hook: Hook) -> bool {
        self.version = self.policies.version();
        let own = format!("{PROJECTS}/{project}");
        [GLOBAL, own.as_str()].into_iter().any(|place| match self.version.places.get(place) {
            Some(slot) => slot.may_deny(hook),
            None => place == GLOBAL,
        })
    }

    /// The same, and denied where the global bundle has no rule `allow` for the hook: for what nobody may do
    /// but by a policy's leave. A project's own can only take away of it.
    pub fn leave<I: Input>(&mut self, project: &ProjectName, input: &I) -> Verdict {
        let mut verdict = self.verdict(project, input);
        let slot = self.version.places.get(GLOBAL).filter(|slot| !slot.gone);
        let compiled = slot.and_then(|slot| slot.compiled.as_ref());
        if !compiled.is_some_and(|compiled| compiled.permits(I::HOOK)) {
            let package = I::HOOK.package();
            let message = format!(
                "no policy of package {package} in {GLOBAL}/ has a rule allow, so nothing is permitted; write one there"
            );
            verdict.reasons.push(reason(&format!("{GLOBAL}/{package}"), message));
            verdict.allowed = false;
        }
        verdict
    }

    /// The number of the version that answered last.
    pub fn version(&self) -> u64 {
        self.version.number
    }

    fn ask(&mut self, place: &str, slot: &Slot, question: &Question) -> Vec<Reason> {
        let hook = question.hook();
        let rule = format!("{place}/{}", hook.package());
        let Some(compiled) = &slot.compiled else {
            return vec![reason(place, slot.closed())];
        };
        if slot.gone {
            return vec![reason(place, slot.closed())];
        }
        if !compiled.has(hook) && slot.had.contains(&hook) {
            let message = format!(
                "the file that declared package {} is gone; put it back, or a file that declares the package alone",
                hook.package()
            );
            return vec![reason(&rule, message)];
        }
        let digest = compiled.digest();
        let fresh = || (digest, compiled.evaluator());
        let entry = self.evaluators.entry(place.to_owned()).or_insert_with(fresh);
        if entry.0 != digest {
            *entry = fresh();
        }
        entry.1.reasons(question)
    }
}

impl Version {
    fn next(&self, root: &Path) -> Self {
        let mut places = BTreeMap::new();
        let (found, fault) = directories(root);
        for (place, directory) in found {
            let former = self.places.get(&place).cloned().unwrap_or_default();
            places.insert(place.clone(), former.read(&place, &directory));
        }
        for (place, former) in &self.places {
            places.entry(place.clone()).or_insert_with(|| former.clone().without_directory(place));
        }
        let absent =
            || Fault::of_file(GLOBAL, "there is no such directory, so everything is denied");
        let fault = fault.or_else(|| (!places.contains_key(GLOBAL)).then(absent));
        let changed = self.held() != held(&places) || self.number == 0;
        Self { number: self.number + u64::from(changed), places, fault }
    }

    fn held(&self) -> Vec<(&str, Option<Digest>, bool)> {
        held(&self.places)
    }

    fn status(&self) -> Status {
        let there = |(_, slot): &(&String, &Slot)| slot.compiled.is_some() && !slot.gone;
        let loaded = self.places.iter().filter(there).map(|(place, _)| place.clone()).collect();
        let digests: Vec<_> = self
            .places
            .values()
            .filter(|slot| !slot.gone)
            .filter_map(|slot| slot.compiled.as_ref().map(|compiled| compiled.digest()))
            .collect();
        let mut faults: Vec<_> = self.fault.iter().cloned().collect();
        faults.extend(self.places.values().flat_map(|slot| slot.faults.clone()));
        Status { version: self.number, digest: together(&digests), loaded, faults }
    }
}

impl Slot {
    fn read(mut self, place: &str, directory: &Path) -> Self {
        let bundle = match Bundle::read(directory) {
            Ok(bundle) => bundle,
            Err(fault) => {
                self.seen = None;
                return self.kept(place, vec![fault]);
            }
        };
        if self.seen == Some(bundle.digest()) && !self.gone {
            return self;
        }
        self.seen = Some(bundle.digest());
        match Compiled::of(&bundle) {
            Ok(compiled) => {
                let withdrawn: Vec<_> =
                    self.had.iter().copied().filter(|hook| !compiled.has(*hook)).collect();
                self.had.extend(Hook::ALL.into_iter().filter(|hook| compiled.has(*hook)));
                (self.compiled, self.gone) = (Some(Arc::new(compiled)), false);
                let gone = |hook: Hook| {
                    let what = format!("the file that declared package {} is gone", hook.package());
                    Fault::of_file(place, what).hint("until it is back, its hook denies")
                };
                self.faults = withdrawn.into_iter().map(gone).collect();
                self
            }
            Err(faults) => self.kept(place, faults),
        }
    }

    /// The former one stays in force.
    fn kept(mut self, place: &str, faults: Vec<Fault>) -> Self {
        let named = |fault: Fault| Fault { file: format!("{place}/{}", fault.file), ..fault };
        self.faults = faults.into_iter().map(named).collect();
        self
    }

    fn without_directory(mut self, place: &str) -> Self {
        self.gone = true;
        self.seen = None;
        let fault = Fault::of_file(place, "the directory is gone");
        self.faults =
            vec![fault.hint("until it is back, everything that it is asked about is denied")];
        self
    }

    fn may_deny(&self, hook: Hook) -> bool {
        match &self.compiled {
            Some(compiled) if !self.gone => {
                compiled.decides(hook) || self.had.contains(&hook) && !compiled.has(hook)
            }
            _ => true,
        }
    }

    fn closed(&self) -> String {
        match self.faults.first() {
            Some(fault) => format!("there is no policy to ask: {fault}"),
            None => "there is no policy to ask".to_owned(),
        }
    }
}

/// The bundles' directories, by the names of their places.
fn directories(root: &Path) -> (Vec<(String, PathBuf)>, Option<Fault>) {
    let mut found = Vec::new();
    if root.join(GLOBAL).is_dir() {
        found.push((GLOBAL.to_owned(), root.join(GLOBAL)));
    }
    let Ok(entries) = fs::read_dir(root.join(PROJECTS)) else { return (found, None) };
    let mut fault = None;
    for (index, entry) in entries.flatten().enumerate() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if index >= PROJECTS_MAX {
            let what = format!("there are more than {PROJECTS_MAX} projects");
            fault = Some(Fault::of_file(PROJECTS, what));
            break;
        }
        if name.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        let place = format!("{PROJECTS}/{name}");
        match name.parse::<ProjectName>() {
            Ok(_) => found.push((place, entry.path())),
            Err(error) => fault = Some(Fault::of_file(&place, error.to_string())),
        }
    }
    (found, fault)
}

fn held(places: &BTreeMap<String, Slot>) -> Vec<(&str, Option<Digest>, bool)> {
    let of = |slot: &Slot| slot.compiled.as_ref().map(|compiled| compiled.digest());
    places.iter().map(|(place, slot)| (place.as_str(), of(slot), slot.gone)).collect()
}

/// One digest for several bundles; that of no bytes where there is none.
fn together(digests: &[Digest]) -> Digest {
    match digests {
        [one] => *one,
        all => Digest::of(&all.iter().flat_map(|digest| *digest.as_bytes()).collect::<Vec<_>>()),
    }
}
