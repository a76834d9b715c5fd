//! Prompts: templates with typed variables, named by the digest of their bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`template`] | a prompt's text, read: what it says of itself, and its body |
//! | [`variable`] | a variable's type, and values held to it |
//! | [`render`] | a body with values put in, in strict mode and within limits |
//!
//! The llm pool renders prompts of the files that a step sees; `maestro prompts` reads and renders
//! them for people. What must stay true: pure but for the files that a template asks for, which
//! the caller hands out; the same bytes, values and files give the same text (`render`'s tests).

pub mod render;
pub mod template;
pub mod variable;

pub use maestro_schemas::prompt::path;
pub use render::{Files, Rendered, render};
pub use template::{Fault, Prompt};
pub use variable::{Kind, Variable};
