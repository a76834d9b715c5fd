//! Packages of all files, and which needs which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::component::{Component, Kind, Scope};
use super::error::{Code, Error, Place};
use super::limits::Limits;

/// A package within the document: its purl, or a word for what has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ref(Arc<str>);

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ref {
    /// What is described, where none of its own files stands for it.
    pub(crate) fn subject() -> Self {
        Self("subject".into())
    }
}

/// What is gathered while files are read.
#[derive(Debug)]
pub(crate) struct Graph {
    limits: Limits,
    components: BTreeMap<Ref, Component>,
    edges: BTreeMap<Ref, BTreeSet<Ref>>,
    edges_count: usize,
    /// Parts of what is described.
    locals: BTreeSet<Ref>,
    /// What the subject needs.
    roots: BTreeSet<Ref>,
    /// Packages of which no file says what they need.
    untold: BTreeSet<Ref>,
}

/// What was gathered.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The part that stands for the whole, where there is but one.
    pub(crate) root: Option<(Ref, Component)>,
    /// Everything else.
    pub(crate) components: Vec<(Ref, Component)>,
    /// What each needs; what is not here is not told.
    pub(crate) edges: Vec<(Ref, BTreeSet<Ref>)>,
    /// What the subject needs.
    pub(crate) roots: BTreeSet<Ref>,
}

impl Graph {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            components: BTreeMap::new(),
            edges: BTreeMap::new(),
            edges_count: 0,
            locals: BTreeSet::new(),
            roots: BTreeSet::new(),
            untold: BTreeSet::new(),
        }
    }

    /// Adds a package that `file` names, or what `file` says of one that is there.
    pub(crate) fn package(&mut self, file: &str, component: Component) -> Result<Ref, Error> {
        let reference = match &component.purl {
            Some(purl) => Ref(purl.to_string().into()),
            None => Ref(component.name.as_str().into()),
        };
        self.add(file, reference, component)
    }

    /// Adds a part of what is described, which lies at `directory`.
    pub(crate) fn local(
        &mut self,
        file: &str,
        directory: &str,
        component: Component,
    ) -> Result<Ref, Error> {
        let form = file.rsplit('/').next().unwrap_or_default();
        let version = component.version.as_deref().unwrap_or_default();
        let directory = if directory.is_empty() { "." } else { directory };
        let reference = format!("{form}:{directory}:{}@{version}", component.name);
        let reference = self.add(file, Ref(reference.into()), component)?;
        self.locals.insert(reference.clone());
        Ok(reference)
    }

    /// Adds the system that an image's packages are of.
    pub(crate) fn system(&mut self, file: &str, component: Component) -> Result<Ref, Error> {
        let version = component.version.as_deref().unwrap_or_default();
        let reference = Ref(format!("os:{}@{version}", component.name).into());
        self.add(file, reference, component)
    }

    fn add(&mut self, file: &str, reference: Ref, component: Component) -> Result<Ref, Error> {
        if let Some(known) = self.components.get_mut(&reference) {
            known.merge(component);
        } else if self.components.len() >= self.limits.components_max {
            let most = format!("at most {} packages in all", self.limits.components_max);
            let error = Error::new(Code::Limit, file, Place::Whole, "names too many packages");
            return Err(error.expected(most));
        } else {
            self.components.insert(reference.clone(), component);
        }
        Ok(reference)
    }

    /// Says that `from` needs `to`.
    pub(crate) fn edge(&mut self, file: &str, from: &Ref, to: &Ref) -> Result<(), Error> {
        if from == to {
            return Ok(());
        }
        if self.edges.entry(from.clone()).or_default().insert(to.clone()) {
            self.edges_count += 1;
        }
        if self.edges_count > self.limits.edges_max {
            let most = format!("at most {} in all", self.limits.edges_max);
            let error = Error::new(Code::Limit, file, Place::Whole, "names too many dependencies");
            return Err(error.expected(most));
        }
        Ok(())
    }

    /// Says that what is described needs this for itself.
    pub(crate) fn root(&mut self, reference: &Ref) {
        self.roots.insert(reference.clone());
    }

    /// Says that no file tells what this needs.
    pub(crate) fn untold(&mut self, reference: &Ref) {
        self.untold.insert(reference.clone());
    }

    /// All that was gathered, in the order of the references.
    pub(crate) fn finish(mut self) -> Parts {
        let needed: BTreeSet<&Ref> = self.edges.values().flatten().collect();
        for (reference, component) in &mut self.components {
            let on_top = self.roots.contains(reference) && !needed.contains(reference);
            if self.locals.contains(reference) && on_top {
                component.kind = Kind::Application;
            }
        }
        let root = self.take_root();
        let told = |reference: &Ref| !self.untold.contains(reference);
        let all = self.components.keys().chain(root.as_ref().map(|(reference, _)| reference));
        let mut edges: Vec<_> = all
            .filter_map(|reference| match self.edges.get(reference) {
                Some(needs) => Some((reference.clone(), needs.clone())),
                None => told(reference).then(|| (reference.clone(), BTreeSet::new())),
            })
            .collect();
        edges.sort();
        Parts { root, components: self.components.into_iter().collect(), edges, roots: self.roots }
    }

    fn take_root(&mut self) -> Option<(Ref, Component)> {
        let mut tops = self.roots.iter();
        let (Some(only), None) = (tops.next(), tops.next()) else { return None };
        let only = self.locals.get(only)?.clone();
        let component = self.components.remove(&only)?;
        self.roots.clear();
        Some((only, component))
    }
}

/// What each thing is there for, by what it is needed for.
///
/// It begins with `starts`; `needs` gives what a thing needs, and how much. A thing that nothing
/// leads to is not in the answer.
pub(crate) fn scopes<K: Ord + Clone>(
    starts: impl IntoIterator<Item = (K, Scope)>,
    needs: impl Fn(&K) -> Vec<(K, Scope)>,
) -> BTreeMap<K, Scope> {
    let mut waiting: BTreeMap<Scope, Vec<K>> = BTreeMap::new();
    for (key, scope) in starts {
        waiting.entry(scope).or_default().push(key);
    }
    let mut found = BTreeMap::new();
    for scope in [Scope::Required, Scope::Optional, Scope::Excluded] {
        while let Some(key) = waiting.get_mut(&scope).and_then(Vec::pop) {
            if found.contains_key(&key) {
                continue;
            }
            for (next, weaker) in needs(&key) {
                waiting.entry(scope.min(weaker)).or_default().push(next);
            }
            found.insert(key, scope);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_by_the_way_is_needed_as_much_as_the_way() {
        let needs = |key: &char| match key {
            'a' => vec![('b', Scope::Required), ('c', Scope::Optional)],
            'd' => vec![('b', Scope::Required), ('e', Scope::Optional)],
            'c' => vec![('a', Scope::Required)],
            _ => vec![],
        };
        let found = scopes([('d', Scope::Excluded), ('a', Scope::Required)], needs);
        let expected = [
            ('a', Scope::Required),
            ('b', Scope::Required),
            ('c', Scope::Optional),
            ('d', Scope::Excluded),
            ('e', Scope::Excluded),
        ];
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn packages_and_edges_have_limits() {
        let limits = Limits { components_max: 2, edges_max: 1, ..Limits::default() };
        let mut graph = Graph::new(limits);
        let mut add = |name: &str| graph.package("f", Component::local(name, None));
        let (a, b) = (add("a").unwrap(), add("b").unwrap());
        assert_eq!(add("c").unwrap_err().code(), Code::Limit);
        graph.edge("f", &a, &b).unwrap();
        graph.edge("f", &a, &b).unwrap();
        assert_eq!(graph.edge("f", &b, &a).unwrap_err().code(), Code::Limit);
    }
}
