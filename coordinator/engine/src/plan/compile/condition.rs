//! When a step runs: its own `if`, its stage's and those of the pipelines around it, as one.

use maestro_schemas::pipeline::Condition;

use super::node::{Builder, SiteOf};
use super::resolve::{Outcome, Spot};
use crate::expression::name::names;
use crate::expression::program;
use crate::pipeline::Fault;

impl Builder<'_> {
    /// The condition of a step; absent where it is `success()`, `false` where it never holds.
    pub(super) fn condition(&self, site: &SiteOf<'_>) -> Result<Option<String>, Fault> {
        let mut parts = Vec::new();
        let mut has_status = false;
        for layer in &site.draft.conditions {
            let Some(frame) = self.graph.frames.get(layer.frame) else { continue };
            let at = frame.source.at(&layer.path);
            let text = match &layer.value {
                Condition::Literal(true) => continue,
                Condition::Literal(false) => return Ok(Some("false".into())),
                Condition::Expression(text) => bare(text),
            };
            let spot = Spot {
                frame: layer.frame,
                stage: &layer.stage,
                at,
                step: &site.draft.id,
                items: false,
            };
            match self.resolver.expression(spot, text)? {
                Outcome::Known(value) if !program::value(&value).is_true() => {
                    return Ok(Some("false".into()));
                }
                Outcome::Known(_) | Outcome::Missing => {}
                Outcome::Later(expression) => {
                    has_status |= names(&expression)
                        .iter()
                        .any(|name| name.called && STATUS.contains(&name.root.as_str()));
                    parts.push(expression);
                }
            }
        }
        Ok(joined(parts, has_status, site.draft.always))
    }
}

const STATUS: [&str; 4] = ["success", "failure", "always", "cancelled"];

/// A condition without the `{{ }}` that may stand around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let inside = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inside.map_or(text, str::trim)
}

fn joined(mut parts: Vec<String>, has_status: bool, always: bool) -> Option<String> {
    match (has_status, always) {
        (true, _) => {}
        (false, true) if parts.is_empty() => parts.push("always()".into()),
        (false, true) => {}
        (false, false) if parts.is_empty() => return None,
        (false, false) => parts.insert(0, "success()".into()),
    }
    match parts.as_slice() {
        [one] => Some(one.clone()),
        _ => Some(parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" and ")),
    }
}
