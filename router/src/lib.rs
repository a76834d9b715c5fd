//! The routing decision: which model a question goes to, so that it costs less at a score that is as
//! good.
//!
//! | what the shell does | what this crate does |
//! |---|---|
//! | reads `deploy/router/litellm.yaml` | [`config`]: makes a configuration of it, or says what is wrong and where |
//! | hands on the header of objectives | [`objective`]: weights and bounds |
//! | hands on what became of calls | [`live`]: what is known of each deployment ([`statistics`], [`sketch`], [`forecast`]), and which calls are under way ([`underway`]) |
//! | keeps a breaker per provider for the fleet | [`breaker`]: whether a call may be made |
//! | asks the policies, and gives the answer an id | [`decide`]: the decision, and what was excluded by which rule |
//! | starts a gateway | [`render`]: LiteLLM's own configuration, made from ours |
//! | reads files of outcomes, prints the report | [`simulate`]: learns on recorded outcomes, and judges on others |
//! | gives a text and the configuration's terms | [`tags`]: what of it must not go everywhere |
//!
//! What must stay true: pure. No I/O, clock or randomness; times and seeds are arguments, and the same
//! arguments give the same answer. (tidy)

pub mod breaker;
pub mod config;
pub mod decide;
pub mod forecast;
pub mod live;
pub mod objective;
pub mod render;
pub mod round;
pub mod simulate;
pub mod sketch;
pub mod statistics;
pub mod tags;
pub mod underway;
