//! All combinations of some axes: what a `matrix` is made of, when planning and in a run alike.

use std::collections::BTreeMap;

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};
use serde_json::Value as Json;

/// The most combinations of a matrix.
pub const COMBINATIONS_MAX: usize = 10_000;

/// The most entries to include, and to exclude.
pub const ENTRIES_MAX: usize = 1_000;

type Combination = BTreeMap<String, Json>;

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

fn read<T: serde::de::DeserializeOwned>(what: &str, value: &Value) -> Result<T, Error> {
    serde_json::to_value(value)
        .and_then(serde_json::from_value)
        .map_err(|error| invalid(format!("{what} of the matrix: {error}")))
}

/// The function `combinations(axes, include, exclude)` of expressions: `axes` is a list of
/// `[name, values]`, the first varying slowest.
pub fn combinations(axes: &Value, include: &Value, exclude: &Value) -> Result<Value, Error> {
    let axes: Vec<(String, Vec<Json>)> = read("the axes", axes)?;
    let found = combine(
        &axes,
        &read::<Vec<Combination>>("include", include)?,
        &read::<Vec<Combination>>("exclude", exclude)?,
    )
    .map_err(invalid)?;
    Ok(super::program::value(&found))
}

/// All combinations of `axes` without those that `exclude` matches, then `include`: an entry of
/// it joins each combination that it contradicts in no axis, or else is one of its own.
pub fn combine(
    axes: &[(String, Vec<Json>)],
    include: &[Combination],
    exclude: &[Combination],
) -> Result<Vec<Combination>, String> {
    if include.len().max(exclude.len()) > ENTRIES_MAX {
        return Err(format!("the matrix includes or excludes more than {ENTRIES_MAX} entries"));
    }
    let mut all = if axes.is_empty() { Vec::new() } else { vec![Combination::new()] };
    for (name, values) in axes {
        if all.len().saturating_mul(values.len()) > COMBINATIONS_MAX {
            return Err(format!("the matrix has more than {COMBINATIONS_MAX} combinations"));
        }
        all = all
            .iter()
            .flat_map(|base| values.iter().map(move |value| (base, value)))
            .map(|(base, value)| {
                let mut next = base.clone();
                next.insert(name.clone(), value.clone());
                next
            })
            .collect();
    }
    all.retain(|combination| !exclude.iter().any(|entry| contains(combination, entry)));
    for entry in include {
        add(&mut all, entry, axes);
    }
    if all.len() > COMBINATIONS_MAX {
        return Err(format!("the matrix has more than {COMBINATIONS_MAX} combinations"));
    }
    Ok(all)
}

fn contains(combination: &Combination, entry: &Combination) -> bool {
    entry.iter().all(|(name, value)| combination.get(name) == Some(value))
}

fn add(all: &mut Vec<Combination>, entry: &Combination, axes: &[(String, Vec<Json>)]) {
    let on_axes: Combination = entry
        .iter()
        .filter(|(name, _)| axes.iter().any(|(axis, _)| axis == *name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut joined = false;
    for combination in all.iter_mut().filter(|combination| contains(combination, &on_axes)) {
        combination.extend(entry.clone());
        joined = true;
    }
    if !joined {
        all.push(entry.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn axes() -> Vec<(String, Vec<Json>)> {
        vec![("os".into(), vec![json!("a"), json!("b")]), ("v".into(), vec![json!(1), json!(2)])]
    }

    fn entry(json: Json) -> Combination {
        serde_json::from_value(json).expect("an object")
    }

    #[test]
    fn the_first_axis_varies_slowest_and_excluded_ones_are_left_out() {
        let all =
            combine(&axes(), &[], &[entry(json!({"os": "a", "v": 2}))]).expect("combinations");
        assert_eq!(
            serde_json::to_value(all).expect("json"),
            json!([{"os": "a", "v": 1}, {"os": "b", "v": 1}, {"os": "b", "v": 2}])
        );
    }

    #[test]
    fn an_included_entry_joins_what_it_matches_or_stands_alone() {
        let include = [entry(json!({"os": "b", "extra": true})), entry(json!({"os": "c", "v": 9}))];
        let all = combine(&axes(), &include, &[]).expect("combinations");
        assert_eq!(all.len(), 5);
        assert_eq!(all.iter().filter(|one| one.contains_key("extra")).count(), 2);
    }

    #[test]
    fn too_many_combinations_are_refused_before_they_are_made() {
        let wide: Vec<(String, Vec<Json>)> =
            (0..10).map(|axis| (axis.to_string(), vec![json!(1); 100])).collect();
        assert!(combine(&wide, &[], &[]).is_err());
    }
}
