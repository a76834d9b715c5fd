//! The expressions of a plan: each parses, and reads only steps that its own step reads.

use std::collections::BTreeMap;

use maestro_schemas::plan::{Items, Node, Plan};
use serde_json::Value;

use super::{Checked, Error, require, step_error};
use crate::expression::name::names;
use crate::expression::program::{self, Program};
use crate::expression::template::{self, Piece};

/// Compiles every expression of a plan once; by their texts.
pub(super) fn all(plan: &Plan) -> Result<BTreeMap<String, Program>, Error> {
    Programs::of(plan)
}

struct Programs<'a> {
    ids: BTreeMap<&'a str, u32>,
    found: BTreeMap<String, Program>,
}

impl<'a> Programs<'a> {
    fn of(plan: &'a Plan) -> Result<BTreeMap<String, Program>, Error> {
        let ids = plan.nodes.iter().map(|node| node.id.as_str()).zip(0u32..).collect();
        let mut programs = Self { ids, found: BTreeMap::new() };
        for (index, node) in (0u32..).zip(&plan.nodes) {
            programs.node(node).map_err(|what| step_error(node, index, what))?;
        }
        for value in plan.outputs.values() {
            programs
                .value(value, None)
                .map_err(|what| Error::Plan { what: format!("outputs: {what}") })?;
        }
        Ok(programs.found)
    }

    fn node(&mut self, node: &Node) -> Checked {
        let reads = Some(node.reads.as_slice());
        if node.templated {
            self.value(&node.with, reads)?;
            node.env.values().try_for_each(|text| self.text(text, reads))?;
        }
        if let Some(condition) = &node.condition {
            self.expression(condition, reads)?;
        }
        match node.for_each.as_ref().map(|for_each| &for_each.items) {
            Some(Items::Expression(expression)) => self.expression(expression, reads),
            _ => Ok(()),
        }
    }

    fn value(&mut self, value: &Value, reads: Option<&[u32]>) -> Checked {
        match value {
            Value::String(text) => self.text(text, reads),
            Value::Array(values) => values.iter().try_for_each(|value| self.value(value, reads)),
            Value::Object(fields) => fields.values().try_for_each(|value| self.value(value, reads)),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str, reads: Option<&[u32]>) -> Checked {
        if !template::is_template(text) {
            return Ok(());
        }
        for piece in template::pieces(text).map_err(|error| error.to_string())? {
            if let Piece::Expression(expression) = piece {
                self.expression(&expression, reads)?;
            }
        }
        Ok(())
    }

    fn expression(&mut self, expression: &str, reads: Option<&[u32]>) -> Checked {
        if expression.len() > template::EXPRESSION_BYTES_MAX {
            return Err(template::Error::TooLong { found: expression.len() }.to_string());
        }
        self.references(expression, reads)?;
        if !self.found.contains_key(expression) {
            let program =
                Program::compile(expression).map_err(|error: program::Error| error.to_string())?;
            self.found.insert(expression.to_owned(), program);
        }
        Ok(())
    }

    fn references(&self, expression: &str, reads: Option<&[u32]>) -> Checked {
        for name in names(expression).iter().filter(|name| name.root == "steps") {
            let id = name
                .segment(0)
                .ok_or_else(|| format!("`{expression}` names no step after `steps`"))?;
            let node = self
                .ids
                .get(id)
                .ok_or_else(|| format!("`{expression}` names step {id:?}, which the plan lacks"))?;
            require(reads.is_none_or(|reads| reads.binary_search(node).is_ok()), || {
                format!("`{expression}` names step {id:?}, which is not among those that it reads")
            })?;
        }
        Ok(())
    }
}
