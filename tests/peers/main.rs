//! The llm pool against LiteLLM's own proxy, with a provider behind it that does what a test says.

#![cfg(test)]

mod models;
mod provider;
mod routed;
mod stage;
