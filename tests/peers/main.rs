//! LiteLLM's own proxy, with a provider behind it that does what a test says: asked by the llm pool, and
//! as a plain proxy that our hook makes obey the router.

#![cfg(test)]

mod hook;
mod models;
mod permitted;
mod plain;
mod provider;
mod routed;
mod scene;
mod stage;
