//! Makes `not` mean what Rego means by it where the negated expression runs over several elements.
//!
//! `not input.step_tags[_] == "pii"` says that no tag is `pii`. The interpreter takes the loop out of
//! the negation and asks for some tag that is not `pii`, which is another question and opens what
//! should be closed. So such a statement is written anew before it is compiled, as
//! `[1 | input.step_tags[_] == "pii"] == []`, which has one meaning only. Lines stay what they are.

use regorus::unstable::{Expr, Literal, Module};

use crate::walk::{self, Node};

const OPEN: &str = "[1 |";
const CLOSE: &str = "] == []";
const NOT: &str = "not";

/// The text of a module with its loops under `not` written so that they stay there.
pub fn keep_loops_inside(text: &str, module: &Module) -> String {
    let mut edits = edits(text, module);
    edits.sort_unstable_by_key(|edit| std::cmp::Reverse((edit.start, edit.removed)));
    let mut text = text.to_owned();
    for edit in edits {
        if text.is_char_boundary(edit.start) && text.is_char_boundary(edit.start + edit.removed) {
            text.replace_range(edit.start..edit.start + edit.removed, edit.put);
        }
    }
    text
}

struct Edit {
    start: usize,
    removed: usize,
    put: &'static str,
}

fn edits(text: &str, module: &Module) -> Vec<Edit> {
    let mut edits = Vec::new();
    for rule in &module.policy {
        walk::rule(rule, &mut |node| {
            let Node::Statement(statement) = node else { return };
            let Literal::NotExpr { span, expr } = &statement.literal else { return };
            if !loops(expr) {
                return;
            }
            let (start, mut end) = (span.start as usize, span.end as usize);
            // The span of a string ends before its closing quote.
            if text.as_bytes().get(end).is_some_and(|byte| matches!(byte, b'"' | b'`')) {
                end += 1;
            }
            edits.push(Edit { start, removed: NOT.len(), put: OPEN });
            edits.push(Edit { start: end, removed: 0, put: CLOSE });
        });
    }
    edits
}

/// Whether an expression indexes something by a variable: `_`, or one that may be free.
fn loops(expr: &Expr) -> bool {
    let mut found = false;
    walk::expr(expr, &mut |node| {
        if let Node::Expr(Expr::RefBrack { index, .. }) = node {
            found |= !matches!(
                index.as_ref(),
                Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. }
            );
        }
    });
    found
}
