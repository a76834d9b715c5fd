//! `maestro demo`: a story of a real build, told while it happens.
//!
//! | module | what it holds |
//! |---|---|
//! | [`story`], [`act`] | the order of things; what is shown and what must be true for it |
//! | [`place`], [`fetch`] | the directory; the project that pip fetches into it |
//! | [`fleet`], [`process`] | the whole system, each part a process of its own, so that it can be killed |
//! | [`reviewer`] | the model gateway and the model that review the changed file |
//! | [`watch`], [`accident`] | a run as it happens; what is killed in its middle |
//! | [`voice`], [`facts`], [`broken`] | the words; the same for programs; a promise that was not kept |
//!
//! What must stay true: everything that is told has happened, or the demo fails; every wait has a
//! limit; nothing is left running, however it ends.

pub mod accident;
pub mod act;
pub mod broken;
pub mod facts;
pub mod fetch;
pub mod fleet;
pub mod place;
pub mod process;
pub mod reviewer;
pub mod story;
pub mod voice;
pub mod watch;
