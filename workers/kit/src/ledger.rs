//! What an execution spent on models, call by call.
//!
//! A call is written down before it is made, at the most that it may cost, and settled once the
//! gateway has told what it did. One that never is (the stream broke, the step was cancelled) stays
//! at the most: somebody may have been paid for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maestro_schemas::id::ExecutionId;
use maestro_schemas::report::{CALLS_MAX, ModelCall};
use tokio::runtime::Handle;

use crate::account::Account;
use crate::announced::News;

/// The most that is believed, a million dollars: what is beyond was never paid.
const SPENT_MICROUSD_MAX: u64 = 1_000_000_000_000;

/// An execution's calls. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    calls: Vec<ModelCall>,
    /// What calls beyond [`CALLS_MAX`] cost.
    beyond_microusd: u64,
}

/// A call that is under way, or about to be made. Dropped without a word, it stays at the most that it may
/// cost; one that was not made yet is never made then, and costs nothing.
#[derive(Debug)]
pub struct Entry {
    ledger: Ledger,
    index: Option<usize>,
    call: ModelCall,
    stands: Stands,
    /// Who is told that it is settled, or not made.
    told: Option<Account>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Unmade,
    Made,
    Settled,
}

impl Ledger {
    /// Writes a call down that is about to be made, with the most that it may cost.
    pub fn begin(&self, call: ModelCall) -> Entry {
        let mut book = self.book();
        let has_room = book.calls.len() < CALLS_MAX;
        let index = has_room.then_some(book.calls.len());
        if has_room {
            book.calls.push(call.clone());
        } else {
            book.beyond_microusd = book.beyond_microusd.saturating_add(call.cost_microusd);
        }
        drop(book);
        Entry { ledger: self.clone(), index, call, stands: Stands::Made, told: None }
    }

    /// What this execution itself has paid, what is under way included: not for answers that another
    /// one got. In millionths of a US dollar.
    pub(crate) fn paid_microusd(&self, execution: ExecutionId) -> u64 {
        let book = self.book();
        let is_own = |call: &&ModelCall| call.payer.is_none_or(|(payer, _)| payer == execution);
        let calls = book.calls.iter().filter(is_own).map(|call| call.cost_microusd);
        calls.fold(book.beyond_microusd, u64::saturating_add).min(SPENT_MICROUSD_MAX)
    }

    /// What was spent, what is under way included, in millionths of a US dollar.
    pub fn spent_microusd(&self) -> u64 {
        let book = self.book();
        let calls = book.calls.iter().map(|call| call.cost_microusd);
        calls.fold(book.beyond_microusd, u64::saturating_add).min(SPENT_MICROUSD_MAX)
    }

    /// The calls, in their order.
    pub fn calls(&self) -> Vec<ModelCall> {
        self.book().calls.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // What it holds is whole between two statements.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// It is not made before that is said.
    pub(crate) fn unmade(mut self) -> Self {
        self.stands = Stands::Unmade;
        self
    }

    pub(crate) fn told_at(mut self, account: Account) -> Self {
        self.told = Some(account);
        self
    }

    /// Which call of its execution it is, where a report has room for it.
    pub fn ordinal(&self) -> Option<u32> {
        self.index.and_then(|index| u32::try_from(index).ok())
    }

    /// What it was written down as.
    pub fn call(&self) -> &ModelCall {
        &self.call
    }

    /// It is made now.
    pub fn made(mut self) -> Self {
        self.stands = Stands::Made;
        self
    }

    /// Says what is known of the call by now.
    pub(crate) fn amend(&mut self, call: ModelCall) {
        self.write(call.clone());
        self.call = call;
    }

    /// What tells its shard's owner of the call as it is known now, where there is one.
    pub(crate) fn news(&self) -> Option<News> {
        self.told.as_ref()?.news(self.ordinal(), self.call.clone())
    }

    /// Says what became of the call.
    pub fn settle(mut self, call: ModelCall) {
        self.end(call);
    }

    fn end(&mut self, call: ModelCall) {
        self.write(call);
        self.stands = Stands::Settled;
        if let Some(account) = &self.told {
            account.settled();
        }
    }

    fn write(&self, call: ModelCall) {
        let mut book = self.ledger.book();
        match self.index.and_then(|index| book.calls.get_mut(index)) {
            Some(entry) => *entry = call,
            None => {
                let others = book.beyond_microusd.saturating_sub(self.call.cost_microusd);
                book.beyond_microusd = others.saturating_add(call.cost_microusd);
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.stands == Stands::Unmade {
            let (announced, settled, unmade) = (false, true, true);
            let call = self.call.clone();
            let call = ModelCall { cost_microusd: 0, announced, settled, unmade, ..call };
            self.amend(call.clone());
            self.end(call);
            // No report may follow, where the worker gives the task up.
            if let (Some(news), Ok(runtime)) = (self.news(), Handle::try_current()) {
                runtime.spawn(news.tell_beside());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::digest::Digest;

    fn call(cost_microusd: u64) -> ModelCall {
        ModelCall::begun("m", Digest::of(b"x"), cost_microusd)
    }

    #[test]
    fn a_call_counts_in_full_until_it_is_settled() {
        let ledger = Ledger::default();
        let entry = ledger.begin(call(100));
        assert_eq!(ledger.spent_microusd(), 100);
        entry.settle(ModelCall { settled: true, ..call(30) });
        assert_eq!(ledger.spent_microusd(), 30);
        drop(ledger.begin(call(7)));
        assert_eq!(ledger.spent_microusd(), 37);
        assert_eq!(
            ledger.calls().iter().map(|call| call.settled).collect::<Vec<_>>(),
            [true, false]
        );
    }

    #[test]
    fn a_call_that_was_not_made_costs_nothing_and_says_so() {
        let ledger = Ledger::default();
        let mut entry = ledger.begin(call(100)).unmade();
        entry.amend(call(40));
        assert_eq!(ledger.spent_microusd(), 40, "it may be made any time");
        drop(entry);
        drop(ledger.begin(call(7)).unmade().made());
        let told: Vec<_> =
            ledger.calls().iter().map(|call| (call.cost_microusd, call.unmade)).collect();
        assert_eq!(told, [(0, true), (7, false)]);
    }

    #[test]
    fn calls_beyond_what_a_report_names_still_count() {
        let ledger = Ledger::default();
        (0..CALLS_MAX).for_each(|_| drop(ledger.begin(call(1))));
        let mut entry = ledger.begin(call(50));
        entry.amend(call(70));
        assert_eq!(ledger.spent_microusd(), CALLS_MAX as u64 + 70);
        entry.settle(ModelCall { settled: true, ..call(5) });
        assert_eq!(
            (ledger.calls().len(), ledger.spent_microusd()),
            (CALLS_MAX, CALLS_MAX as u64 + 5)
        );
    }
}
