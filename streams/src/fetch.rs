//! Reading streams by pulls.
//!
//! | module | who reads with it |
//! |---|---|
//! | [`inbox`] | a coordinator: the inboxes of its shards, each by a consumer named by its epoch |
//! | [`tasks`] | a worker: the tasks of a pool, by priority, no more than it has slots for |
//! | [`queue`] | a coordinator: a shared durable, as that of submissions |
//! | [`tail`] | the api: live logs and events, without acks |
//! | `pull` | all but a worker with few slots: standing pulls that survive lost connections, leaders and consumers |
//! | `exact`, `prefetch`, `turn` | the two ways of [`tasks`], and whose turn it is |

mod exact;
pub mod inbox;
mod prefetch;
mod pull;
pub mod queue;
pub mod tail;
pub mod tasks;
mod turn;
