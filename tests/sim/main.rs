//! The whole system, simulated from seeds: coordinators whose folds are the ones that run in
//! production, against models of Postgres, JetStream, workers and people, with every kind of fault.
//! After each step the invariants of the design are checked.
//!
//! `MAESTRO_SIM_SEEDS=N` plays more seeds, `MAESTRO_SIM_SEED=S` one of them with all that happens:
//! `MAESTRO_SIM_SEED=7 cargo test -p maestro-tests --test sim one_seed -- --nocapture`.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod check;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod play;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod setting;
#[cfg(test)]
mod store;
#[cfg(test)]
mod world;
