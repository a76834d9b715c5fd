//! The hosts of a worker: what was seen of each lately, its calls under way, and who is left alone.
//!
//! Calls are counted per worker: several workers that share a host each have their own count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Host;
use super::choice::{Chosen, Reason, Standing, Wanted, choose};
use super::probe;
use super::seen::Seen;
use crate::call::Clients;

/// For how long what was seen of a host is believed.
const BELIEVED: Duration = Duration::from_secs(2);
/// For how long a host that did not answer is not asked again: each call waits for that.
const MUTE: Duration = Duration::from_secs(15);
/// The longest that a call waits for a host to have room.
const ROOM_MAX: Duration = Duration::from_secs(60);

/// The hosts.
pub(crate) struct Fleet {
    hosts: Vec<Host>,
    views: Vec<tokio::sync::Mutex<Option<View>>>,
    books: Mutex<Vec<Book>>,
    /// A call ended.
    freed: Notify,
}

struct View {
    at: Instant,
    seen: Result<Seen, String>,
}

#[derive(Default, Clone)]
struct Book {
    calls: BTreeMap<String, u32>,
    shunned: Option<(Instant, String)>,
}

/// A call's place at a host; given back when it is dropped.
pub(crate) struct Seat {
    fleet: Arc<Fleet>,
    pub(crate) chosen: Chosen,
    model: String,
}

impl Fleet {
    pub(crate) fn new(hosts: Vec<Host>) -> Self {
        let views = hosts.iter().map(|_| tokio::sync::Mutex::default()).collect();
        let books = Mutex::new(vec![Book::default(); hosts.len()]);
        Self { hosts, views, books, freed: Notify::new() }
    }

    /// The host of a seat.
    pub(crate) fn host(&self, seat: &Seat) -> Option<&Host> {
        self.hosts.get(seat.chosen.place)
    }

    /// A place at the best host, once one has room; else of each host why not that one.
    pub(crate) async fn seat(
        self: &Arc<Self>,
        wanted: &Wanted,
        clients: &Clients,
    ) -> Result<Seat, Vec<(String, Reason)>> {
        let until = Instant::now() + ROOM_MAX;
        loop {
            // Registered before the look, so that no end of a call is missed after it.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            let views =
                join_all((0..self.hosts.len()).map(|place| self.view(place, clients))).await;
            let reasons = match self.sit(wanted, views) {
                Ok(seat) => return Ok(seat),
                Err(reasons) => reasons,
            };
            let is_full = reasons.iter().any(|reason| matches!(reason, Reason::Full(_)));
            if !is_full || timeout_at(until, freed).await.is_err() {
                let names = self.hosts.iter().map(|host| host.name.clone());
                return Err(names.zip(reasons).collect());
            }
        }
    }

    /// Chooses and sits down in one go, so that two calls never take the same last place.
    fn sit(
        self: &Arc<Self>,
        wanted: &Wanted,
        views: Vec<Result<Seen, String>>,
    ) -> Result<Seat, Vec<Reason>> {
        let mut books = self.books();
        let now = Instant::now();
        let parts = self.hosts.iter().zip(views).zip(books.iter());
        let standings: Vec<Standing> =
            parts.map(|((host, seen), book)| standing(host, seen, book, now)).collect();
        let chosen = choose(wanted, &standings)?;
        if let Some(book) = books.get_mut(chosen.place) {
            *book.calls.entry(wanted.model.clone()).or_default() += 1;
        }
        Ok(Seat { fleet: Arc::clone(self), chosen, model: wanted.model.clone() })
    }

    /// What is known of a host; asked anew where that is old. Whoever comes meanwhile waits for it.
    async fn view(&self, place: usize, clients: &Clients) -> Result<Seen, String> {
        let (Some(host), Some(view)) = (self.hosts.get(place), self.views.get(place)) else {
            return Err("it is not configured".to_owned());
        };
        let mut view = view.lock().await;
        let believed =
            |view: &&View| view.at.elapsed() < if view.seen.is_ok() { BELIEVED } else { MUTE };
        match view.as_ref().filter(believed) {
            Some(view) => view.seen.clone(),
            None => {
                let seen = probe::ask(host, clients).await;
                *view = Some(View { at: Instant::now(), seen: seen.clone() });
                seen
            }
        }
    }

    /// Leaves a host alone for a while.
    pub(crate) fn shun(&self, seat: &Seat, pause: Duration, why: &str) {
        if let Some(book) = self.books().get_mut(seat.chosen.place) {
            book.shunned = Some((Instant::now() + pause, why.to_owned()));
        }
    }

    /// Asks a host anew before the next choice: what was believed of it was wrong.
    pub(crate) async fn forget(&self, seat: &Seat) {
        if let Some(view) = self.views.get(seat.chosen.place) {
            *view.lock().await = None;
        }
    }

    fn books(&self) -> MutexGuard<'_, Vec<Book>> {
        // What it holds is whole between two statements.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(host: &Host, seen: Result<Seen, String>, book: &Book, now: Instant) -> Standing {
    let shunned = book.shunned.as_ref().filter(|(until, _)| *until > now);
    Standing {
        seen,
        shunned: shunned.map(|(until, why)| {
            let seconds = until.duration_since(now).as_secs_f64().ceil();
            format!("it is left alone for {seconds} s more: {why}")
        }),
        jurisdiction: host.jurisdiction.clone(),
        max_concurrency: host.max_concurrency,
        calls: book.calls.clone(),
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(book) = self.fleet.books().get_mut(self.chosen.place)
            && let Some(calls) = book.calls.get_mut(&self.model)
        {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                book.calls.remove(&self.model);
            }
        }
        self.fleet.freed.notify_waiters();
    }
}
