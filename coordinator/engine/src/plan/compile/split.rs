//! `split`: files shared out over parallel copies of a step, by how long each took before.
//!
//! The shares are items of the plan, so that what was known of durations when planning is what runs.

use std::collections::BTreeMap;

use maestro_schemas::beside::{FILES_MAX, PARTS_MAX, Share};
use maestro_schemas::pipeline::Split;
use maestro_schemas::plan::{ForEach, Items};

use super::fan_out;
use super::node::{Builder, SiteOf};
use super::workspace::Selection;
use crate::pipeline::{Code, Fault};

impl Builder<'_> {
    /// The fan-out of a step, if it has one: of shares or of items.
    pub(super) fn items(&self, site: &SiteOf<'_>) -> Result<Option<ForEach>, Fault> {
        match &site.draft.site.step.split {
            Some(split) => self.split(site, split).map(Some),
            None => fan_out::fan_out(site, self.resolver),
        }
    }

    /// The copies of a step that splits files, an item each.
    fn split(&self, site: &SiteOf<'_>, split: &Split) -> Result<ForEach, Fault> {
        let step = &site.draft.site.step;
        let at = site.at("split");
        let refuse = |what: &str| Fault::new(Code::InvalidValue, at, what);
        if step.for_each.is_some() || step.matrix.is_some() {
            return Err(Fault::new(Code::Choice, at, "the step has items besides its split")
                .expected("one of split, for_each and matrix"));
        }
        if !(1..=PARTS_MAX).contains(&split.parts) {
            return Err(refuse("this is no usable number of parts")
                .found(split.parts.to_string())
                .expected(format!("1 to {PARTS_MAX}")));
        }
        let selection = Selection::new(split.files.as_slice().iter().map(String::as_str));
        let selection = selection.map_err(|error| refuse("this is no glob").found(error))?;
        let listed = self.request.sources.listed().map(|(path, _)| path);
        let files: Vec<&str> = listed.filter(|path| selection.contains(path)).collect();
        if files.is_empty() || files.len() > FILES_MAX {
            return Err(refuse("the files to be shared out are none, or too many")
                .found(format!("{} files", files.len()))
                .expected(format!("globs of 1 to {FILES_MAX} files beside the pipeline")));
        }
        let known = self.request.durations.steps.get(&site.draft.id);
        let shares = shares(&files, known.unwrap_or(&BTreeMap::new()), split.parts);
        let items = shares.iter().filter_map(|share| serde_json::to_value(share).ok()).collect();
        Ok(ForEach {
            items: Items::Literal(items),
            parallel_max: step.parallel_max,
            fail_fast: step.fail_fast.unwrap_or(false),
        })
    }
}

/// Gives each file, the longest first, to the part with the least to do. What nothing is known of is
/// taken to last as long as the middle one of those that something is known of. No part is empty.
fn shares(files: &[&str], known: &BTreeMap<String, u64>, parts: u32) -> Vec<Share> {
    let by_class = by_class(known);
    let known: Vec<Option<u64>> = files
        .iter()
        .map(|file| known.get(*file).copied().or_else(|| of_class(file, &by_class)))
        .collect();
    let mut sorted: Vec<u64> = known.iter().flatten().copied().collect();
    sorted.sort_unstable();
    let middle = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(1).max(1);
    let mut order: Vec<(u64, &str)> = known
        .iter()
        .zip(files)
        .map(|(duration, file)| (duration.unwrap_or(middle), *file))
        .collect();
    order.sort_unstable_by(|(some, one), (other, two)| other.cmp(some).then(one.cmp(two)));
    let total = parts.min(u32::try_from(files.len()).unwrap_or(parts));
    let mut loads: Vec<(u64, Vec<String>)> = vec![Default::default(); total as usize];
    for (duration, file) in order {
        // An empty part before any other, then the one with the least to do, then the first.
        let least = loads.iter_mut().min_by_key(|(load, files)| (!files.is_empty(), *load));
        if let Some((load, files)) = least {
            *load = load.saturating_add(duration);
            files.push(file.to_owned());
        }
    }
    let share = |(index, (_, mut files)): (u32, (u64, Vec<String>))| {
        files.sort_unstable();
        Share { index, total, files }
    };
    (0u32..).zip(loads).map(share).collect()
}

/// Durations under names with dots, as classes have them, summed over what stands below each.
fn by_class(known: &BTreeMap<String, u64>) -> BTreeMap<&str, u64> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, duration) in known.iter().filter(|(name, _)| !name.contains('/')) {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        for part in ends.filter_map(|end| name.get(..end)) {
            let sum = sums.entry(part).or_default();
            *sum = sum.saturating_add(*duration);
        }
    }
    sums
}

/// What the classes of a file took: `tests/test_a.py` holds `tests.test_a` and `tests.test_a.TestB`.
fn of_class(file: &str, by_class: &BTreeMap<&str, u64>) -> Option<u64> {
    let stem = match file.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem,
        _ => file,
    };
    by_class.get(stem.replace('/', ".").as_str()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, duration)| ((*name).to_owned(), *duration)).collect()
    }

    fn names(shares: &[Share]) -> Vec<Vec<&str>> {
        shares.iter().map(|share| share.files.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn the_longest_goes_first_to_the_part_with_the_least_to_do() {
        let known = known(&[("a", 70), ("b", 50), ("c", 40), ("d", 30)]);
        let shares = shares(&["a", "b", "c", "d"], &known, 2);
        assert_eq!(names(&shares), [vec!["a", "d"], vec!["b", "c"]]);
        assert_eq!((shares[1].index, shares[1].total), (1, 2));
    }

    #[test]
    fn what_is_unknown_lasts_as_long_as_the_middle_one_and_no_part_is_empty() {
        let known = known(&[("a", 10), ("b", 30), ("c", 100)]);
        let found = shares(&["a", "b", "c", "new"], &known, 2);
        assert_eq!(names(&found), [vec!["c"], vec!["a", "b", "new"]]);
        assert_eq!(names(&shares(&["a", "b"], &known, 9)), [vec!["b"], vec!["a"]]);
        let zero = self::known(&[("a", 0), ("b", 0), ("c", 0)]);
        assert_eq!(names(&shares(&["a", "b", "c"], &zero, 3)).iter().map(Vec::len).max(), Some(1));
    }

    #[test]
    fn a_file_is_found_by_its_classes_where_the_report_named_no_file() {
        let known = known(&[("tests.test_a", 5), ("tests.test_a.TestB", 90), ("tests.test_c", 50)]);
        let files = ["tests/test_a.py", "tests/test_c.py", "tests/test_d.py"];
        let found = shares(&files, &known, 2);
        assert_eq!(names(&found)[0], ["tests/test_a.py"]);
    }

    #[test]
    fn whatever_is_known_each_file_is_in_one_part() {
        let files: Vec<String> = (0..97).map(|number| format!("t/{number}.py")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        for seed in 0..40_u64 {
            let pairs = files.iter().zip(0_u64..).filter(|(_, at)| (at ^ seed) % 3 > 0);
            let known: BTreeMap<String, u64> = pairs
                .map(|(file, at)| ((*file).to_owned(), at.wrapping_mul(seed * 7919) % 1000))
                .collect();
            let parts = 1 + u32::try_from(seed % 11).unwrap_or(0);
            let found = shares(&files, &known, parts);
            assert_eq!(found, shares(&files, &known, parts));
            let mut all: Vec<&str> = names(&found).into_iter().flatten().collect();
            all.sort_unstable();
            let mut expected = files.clone();
            expected.sort_unstable();
            assert_eq!((all, found.len()), (expected, parts as usize));
        }
    }
}
