//! How a step is kept apart from its worker's host, and within limits.
//!
//! | module | what it does |
//! |---|---|
//! | [`claims`] | what each level stops, as a table that tests and documents share |
//! | [`host`] | what works here, found by starting something in it |
//! | `confinement` | one execution's sandbox: made, applied, ended |
//! | `view` | which files a step reads and which it writes |
//! | `bubblewrap`, `landlock`, `seccomp` | the means |
//! | `limits` | memory, processes, processor time |
//! | `disk`, `size`, `held` | what it takes up of a disk: watched, in directories, removed and held |
//! | `egress`, `forward` | the listed hosts: a proxy on the host, its doorman within |
//! | `loopback` | a network that a step shares with its services alone |
//! | `probe` | looks from within it whether a service answers |
//! | `init` | the first process of a sandbox, which the step cannot look into |
//! | [`confine`] | the program between worker and step: confines itself, then becomes the step |
//!
//! The worker starts the helper, which is its own program under a hidden word. No code runs between
//! fork and exec. What a step asked for is applied or the attempt fails: nothing is left out silently.

pub mod claims;
pub mod confine;
pub mod host;

mod bubblewrap;
mod confinement;
pub(crate) mod descendants;
mod disk;
mod egress;
mod forward;
mod held;
mod init;
mod landlock;
mod limits;
mod loopback;
mod probe;
mod seccomp;
mod size;
mod view;

pub(crate) use bubblewrap::Seen;
pub(crate) use confine::variables_file;
pub(crate) use confinement::{Confinement, Wanted, line};
pub(crate) use disk::{Full, overfull};
pub use host::Host;
pub(crate) use host::Place;
pub(crate) use loopback::Loopback;
pub(crate) use probe::{Question, WORD as READY_WORD};
