//! LiteLLM's own proxy, with a provider behind it that does what a test says: asked by the llm pool, and
//! as a plain proxy that our hook makes obey the router. Beside it a double of Ollama's hosts, registries
//! of containers, readers of our SBOMs, and a server that speaks as AWS KMS does.

#![cfg(test)]

mod attached;
mod border;
mod brownout;
mod carriers;
mod dead;
mod direct;
mod dockerfiles;
mod governed;
mod hook;
mod hosts;
mod images;
mod killed;
mod kms;
mod models;
mod ollama;
mod own;
mod permitted;
mod plain;
mod project;
mod provider;
mod registries;
mod routed;
mod sbom;
mod scene;
mod sealed;
mod stage;
mod verifiers;
mod watch;
