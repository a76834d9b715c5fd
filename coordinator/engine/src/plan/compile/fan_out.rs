//! `for_each` and `matrix`: the items of a fan-out, or the expression that yields them in a run.

use std::collections::BTreeMap;

use maestro_schemas::pipeline::{Axis, Matrix};
use maestro_schemas::plan::{ForEach, ITEMS_MAX, Items};
use serde_json::Value;

use super::half::Half;
use super::node::SiteOf;
use super::resolve::{Resolver, Spot};
use crate::expression::matrix::combine;
use crate::expression::template::{EXPRESSION_BYTES_MAX, Piece};
use crate::expression::{ItemList, item_list};
use crate::pipeline::{Code, Fault};

/// The fan-out of a step, if it has one.
pub(super) fn fan_out(
    site: &SiteOf<'_>,
    resolver: &Resolver<'_>,
) -> Result<Option<ForEach>, Fault> {
    let step = &site.draft.site.step;
    let spot = site.spot(if step.matrix.is_some() { "matrix" } else { "for_each" }, false);
    let items = match (&step.for_each, &step.matrix) {
        (Some(_), Some(_)) => {
            return Err(Fault::new(Code::Choice, spot.at, "the step has both for_each and matrix")
                .expected("at most one of them"));
        }
        (Some(value), None) => for_each(value, spot, resolver)?,
        (None, Some(matrix)) => combinations(matrix, site, resolver)?,
        (None, None) if step.parallel_max.is_some() || step.fail_fast.is_some() => {
            return Err(Fault::new(Code::Choice, spot.at, "the step has no items")
                .found("parallel_max or fail_fast")
                .expected("for_each or matrix beside it"));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(ForEach {
        items,
        parallel_max: step.parallel_max,
        fail_fast: step.fail_fast.unwrap_or(false),
    }))
}

fn for_each(value: &Value, spot: Spot<'_>, resolver: &Resolver<'_>) -> Result<Items, Fault> {
    match resolver.value(spot, value)? {
        Half::Known(known) => literal(known, spot),
        half => expression(&half, spot),
    }
}

fn literal(value: Value, spot: Spot<'_>) -> Result<Items, Fault> {
    if matches!(&value, Value::String(text) if text.contains("{{")) {
        return Ok(Items::Literal(Vec::new()));
    }
    match item_list("for_each", value) {
        Ok(ItemList::Range(count)) => Ok(Items::Range(count)),
        Ok(ItemList::List(values)) => Ok(Items::Literal(values.to_vec())),
        Err(error) => Err(Fault::new(Code::WrongType, spot.at, error.to_string()).expected(
            format!("a list, a whole number up to {ITEMS_MAX}, or a template that yields one"),
        )),
    }
}

fn expression(half: &Half, spot: Spot<'_>) -> Result<Items, Fault> {
    let text = match half {
        Half::Text(pieces) => match pieces.as_slice() {
            [Piece::Expression(expression)] => expression.clone(),
            _ => {
                return Err(Fault::new(Code::WrongType, spot.at, "the items are a text")
                    .expected("a list, a number, or exactly one {{ … }}"));
            }
        },
        other => other.expression(),
    };
    within(text, spot).map(Items::Expression)
}

fn within(text: String, spot: Spot<'_>) -> Result<String, Fault> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(Fault::new(
            Code::ExpressionSyntax,
            spot.at,
            "the items make too long an expression",
        )
        .found(format!("{} bytes", text.len()))
        .expected(format!("at most {EXPRESSION_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn combinations(
    matrix: &Matrix,
    site: &SiteOf<'_>,
    resolver: &Resolver<'_>,
) -> Result<Items, Fault> {
    let spot = site.spot("matrix", false);
    let path = site.draft.site.path.join("matrix");
    let mut written: Vec<(&String, &Axis)> = matrix.axes.iter().collect();
    written.sort_by_key(|(name, _)| site.frame.source.at(&path.join(name)));
    let mut axes = Vec::new();
    for (name, axis) in written {
        let value = match axis {
            Axis::Values(values) => Value::Array(values.clone()),
            Axis::Template(text) => Value::String(text.clone()),
        };
        axes.push((name.clone(), resolver.value(spot, &value)?));
    }
    let entries =
        |entries: &[BTreeMap<String, Value>]| resolver.value(spot, &serde_json::json!(entries));
    let (include, exclude) = (entries(&matrix.include)?, entries(&matrix.exclude)?);
    let is_later =
        axes.iter().any(|(_, axis)| axis.is_later()) || include.is_later() || exclude.is_later();
    if is_later {
        let axes: Vec<Half> = axes
            .into_iter()
            .map(|(name, axis)| Half::List(vec![Half::Known(name.into()), axis]))
            .collect();
        let axes = Half::List(axes).expression();
        let text =
            format!("combinations({axes}, {}, {})", include.expression(), exclude.expression());
        return within(text, spot).map(Items::Expression);
    }
    known(axes, &include, &exclude, spot)
}

fn known(
    axes: Vec<(String, Half)>,
    include: &Half,
    exclude: &Half,
    spot: Spot<'_>,
) -> Result<Items, Fault> {
    let mut values = Vec::new();
    for (name, axis) in axes {
        match axis.render(false) {
            Value::Array(axis) => values.push((name, axis)),
            other => {
                return Err(Fault::new(
                    Code::WrongType,
                    spot.at,
                    format!("the axis {name:?} is no list"),
                )
                .found(other.to_string())
                .expected("a list, or a template that yields one"));
            }
        }
    }
    let entries = |half: &Half| -> Vec<BTreeMap<String, Value>> {
        serde_json::from_value(half.render(false)).unwrap_or_default()
    };
    let all: Vec<BTreeMap<String, Value>> = combine(&values, &entries(include), &entries(exclude))
        .map_err(|error| Fault::new(Code::GraphLimit, spot.at, error))?;
    Ok(Items::Literal(all.into_iter().map(|one| serde_json::json!(one)).collect()))
}
