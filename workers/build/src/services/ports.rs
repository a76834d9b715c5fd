//! Numbers of ports that nobody listens on.
//!
//! They are chosen where systems give none to whoever connects somewhere, so that none is lost between
//! its choice and its use. Two workers of a host may choose the same: the attempt of a service that finds
//! its port taken is tried again.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// The first of those that are chosen from; the last is one below what Linux gives out by itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_768;

/// What other executions of this worker have.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Ports that no other execution of this worker gets meanwhile.
#[derive(Debug, Default)]
pub(super) struct Ports(Vec<u16>);

impl Ports {
    /// Chooses as many.
    pub(super) fn take(count: usize) -> Result<Self, Error> {
        let mut chosen = Self::default();
        let start = u16::try_from(RandomState::new().hash_one(()) % u64::from(COUNT)).unwrap_or(0);
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        for step in 0..COUNT {
            if chosen.0.len() == count {
                return Ok(chosen);
            }
            let port = FIRST + (start + step) % COUNT;
            if !taken.contains(&port) && is_free(port) {
                taken.insert(port);
                chosen.0.push(port);
            }
        }
        drop(taken);
        let none = io::Error::other("all ports that services get are taken");
        Err(Error::Scratch(none))
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        self.0.clone().into_iter()
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        for port in &self.0 {
            taken.remove(port);
        }
    }
}

/// Whether nobody listens on a port of the host's.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_chosen_twice_nor_one_that_somebody_listens_on() {
        let first = Ports::take(300).expect("ports");
        let second = Ports::take(300).expect("ports");
        let all: BTreeSet<u16> = first.numbers().chain(second.numbers()).collect();
        assert_eq!(all.len(), 600);
        assert!(all.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)));
        let port = first.numbers().next().expect("a port");
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        assert!(!is_free(port));
    }
}
