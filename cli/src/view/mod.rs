//! What a run looks like: one model, folded from the steps and the events, and three ways to show it.
//!
//! | the model and its parts | who shows it |
//! |---|---|
//! | [`model`] folds [`maestro_schemas::event::Event`] into [`model::Run`] | [`frame`]: the graph, redrawn in a terminal by [`screen`] |
//! | [`clean`], [`duration`], [`paint`], [`table`], [`words`] | [`plain`]: a line for each change |
//! | [`summary`]: what is said at the end | JSON lines: the events themselves, by [`crate::follow`] |
//!
//! All but [`screen`] are pure: state in, lines out. Nothing shown holds a control character.

pub mod clean;
pub mod duration;
pub mod frame;
pub mod missed;
pub mod model;
pub mod paint;
pub mod plain;
pub mod screen;
pub mod summary;
pub mod table;
pub mod words;
