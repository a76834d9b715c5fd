//! What bundles answer, as whoever asks them sees it.
#![cfg(test)]

mod check;
mod closed;
mod negation;
mod reload;
mod sandbox;
mod shipped;
mod specification;
mod support;
mod trial;
