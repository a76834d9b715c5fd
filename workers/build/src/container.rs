//! `container.build`: an image from the workspace's files, or from a Dockerfile.
//!
//! | module | what it does |
//! |---|---|
//! | `parameters` | what a step may say in `with` |
//! | `plan` | what that means: names, base, way of building |
//! | `files` | which files of the workspace go where in the image |
//! | `buildah` | a Dockerfile, built without a daemon |
//! | `room` | the sandbox that buildah runs in |
//! | `sources` | which images a Dockerfile takes from registries |
//! | `action` | one execution: build, keep, push |
//! | [`registry`] | a registry's images: push, pull, what goes with an image |
//! | [`credentials`] | the worker's own credentials for registries |
//!
//! Nothing is said to be pushed that a registry has not taken. Credentials are the worker's; no step
//! sees them, and no log, message or output holds one.

mod action;
mod buildah;
pub mod credentials;
mod files;
mod parameters;
mod plan;
mod refusal;
pub mod registry;
mod room;
mod sbom;
mod sources;

pub(crate) use action::{Action, NAME, carry_out};
pub(crate) use parameters::Container;
pub(crate) use refusal::Refusal;
