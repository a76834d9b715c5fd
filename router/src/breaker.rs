//! A circuit breaker: whether a provider that fails is left alone, and when it is tried again.
//!
//! One per endpoint (a provider, or one server of it). *Closed*, calls pass and their ends are
//! counted, older ones for less. Where too large a share fails, or connections fail in a row, it
//! *opens* and nothing passes. After the probe interval it is *half open*: one call per interval
//! passes as a probe, until enough have succeeded in a row, which closes it, or one fails.
//!
//! Each process that decides keeps one state for all who ask it and calls [`Breaker::step`] for every
//! event; where several decide, whoever is given a probe makes sure in the database that nobody else was. What
//! must stay true, and proptest below checks it: after a trip at most one probe per interval, and where probes succeed it closes.

use maestro_schemas::call::CallClass;
use serde::{Deserialize, Serialize};

/// When a provider is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The share of calls whose failure opens it.
    pub failure_share: f64,
    /// Fewer calls than this say nothing about a share.
    pub requests_min: f64,
    /// So many failed connections in a row open it at once.
    pub connection_errors: u32,
    /// After this a call counts half, in milliseconds.
    pub half_life_ms: u64,
    /// The time between two probes, in milliseconds.
    pub probe_interval_ms: u64,
    /// So many calls in a row have to succeed for it to close.
    pub successes: u32,
    /// How long a provider that was asked too often is left alone where it does not say, in
    /// milliseconds.
    pub throttle_ms: u64,
    /// The longest time that is believed when it says so, in milliseconds.
    pub throttle_ms_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failure_share: 0.5,
            requests_min: 8.0,
            connection_errors: 3,
            half_life_ms: 20_000,
            probe_interval_ms: 5_000,
            successes: 2,
            throttle_ms: 1_000,
            throttle_ms_max: 60_000,
        }
    }
}

/// The longest time of a setting, in milliseconds.
const MS_MAX: u64 = 60 * 60 * 1_000;

impl Settings {
    /// What is expected of the first number that is out of its range, if one is.
    pub fn fault(&self) -> Option<String> {
        let share = (0.01..=1.0).contains(&self.failure_share);
        let requests = (1.0..=1e6).contains(&self.requests_min);
        let counts = [("connection_errors", self.connection_errors), ("successes", self.successes)];
        let times = [
            ("half_life_ms", self.half_life_ms),
            ("probe_interval_ms", self.probe_interval_ms),
            ("throttle_ms", self.throttle_ms),
            ("throttle_ms_max", self.throttle_ms_max),
        ];
        let wrong_count = counts.iter().find(|(_, count)| !(1..=1_000).contains(count));
        let wrong_time = times.iter().find(|(_, time)| !(1..=MS_MAX).contains(time));
        match (share, requests, wrong_count, wrong_time) {
            (false, ..) => Some("failure_share of 0.01 to 1".to_owned()),
            (_, false, ..) => Some("requests_min of 1 or more".to_owned()),
            (.., Some((name, _)), _) => Some(format!("{name} of 1 to 1000")),
            (.., Some((name, _))) => Some(format!("{name} of 1 to {MS_MAX}")),
            _ => None,
        }
    }
}

/// What happens to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants to call.
    Asked,
    /// A call ended.
    Ended {
        /// How.
        class: CallClass,
        /// When it had been made, in milliseconds.
        started_ms: u64,
        /// What the provider said about when to come again, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Pass,
    /// It may, as the one probe of this interval.
    Probe,
    /// It may not before this time, in milliseconds.
    Wait(u64),
}

/// What a breaker would answer, without taking a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "until_ms")]
pub enum Standing {
    /// Calls pass.
    #[default]
    Closed,
    /// A probe may be taken.
    ProbeDue,
    /// Nothing passes before this time: it failed too often.
    Open(u64),
    /// Nothing passes before this time: it was asked too often.
    Throttled(u64),
}

/// The state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Closed(Window),
    Open { since_ms: u64, until_ms: u64 },
    HalfOpen { since_ms: u64, next_probe_ms: u64, successes: u32 },
}

/// What was seen while closed; older calls count for less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    calls: f64,
    failures: f64,
    at_ms: u64,
    connection_errors: u32,
}

/// A breaker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    state: State,
    throttled_until_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed(Window::default()), throttled_until_ms: 0 }
    }
}

impl Breaker {
    /// Takes an event. The answer counts where somebody asked.
    pub fn step(&mut self, event: Event, now_ms: u64, settings: &Settings) -> Permit {
        match event {
            Event::Asked if now_ms < self.throttled_until_ms => {
                Permit::Wait(self.throttled_until_ms)
            }
            Event::Asked => self.asked(now_ms, settings),
            Event::Ended { class, started_ms, retry_after_ms } => {
                if class == CallClass::Throttled {
                    let wait = retry_after_ms.unwrap_or(settings.throttle_ms);
                    let until = now_ms.saturating_add(wait.min(settings.throttle_ms_max));
                    self.throttled_until_ms = self.throttled_until_ms.max(until);
                }
                self.state = self.ended(class, started_ms, now_ms, settings);
                Permit::Pass
            }
        }
    }

    /// The probe that was just taken was another's: the next one is due then.
    pub const fn defer(&mut self, due_ms: u64) {
        if let State::HalfOpen { next_probe_ms, .. } = &mut self.state {
            *next_probe_ms = due_ms;
        }
    }

    /// What it would answer now.
    pub fn standing(&self, now_ms: u64) -> Standing {
        if now_ms < self.throttled_until_ms {
            return Standing::Throttled(self.throttled_until_ms);
        }
        match self.state {
            State::Closed(_) => Standing::Closed,
            State::Open { until_ms: next, .. } | State::HalfOpen { next_probe_ms: next, .. } => {
                if now_ms < next {
                    Standing::Open(next)
                } else {
                    Standing::ProbeDue
                }
            }
        }
    }

    fn asked(&mut self, now_ms: u64, settings: &Settings) -> Permit {
        let (since_ms, due_ms, successes) = match self.state {
            State::Closed(_) => return Permit::Pass,
            State::Open { since_ms, until_ms } => (since_ms, until_ms, 0),
            State::HalfOpen { since_ms, next_probe_ms, successes } => {
                (since_ms, next_probe_ms, successes)
            }
        };
        if now_ms < due_ms {
            return Permit::Wait(due_ms);
        }
        // The next one is due whether or not this one's end is ever told: its worker may die.
        let next_probe_ms = now_ms.saturating_add(settings.probe_interval_ms);
        self.state = State::HalfOpen { since_ms, next_probe_ms, successes };
        Permit::Probe
    }

    fn ended(&self, class: CallClass, started: u64, now_ms: u64, settings: &Settings) -> State {
        let good = class == CallClass::Ok;
        match (self.state, class) {
            // These say that somebody is there, and nothing about whether calls succeed.
            (state, CallClass::Refused | CallClass::Throttled) => state,
            (State::Closed(window), _) => window.with(class, now_ms, settings),
            // A call from before the trip tells what is known already.
            (state @ (State::Open { since_ms, .. } | State::HalfOpen { since_ms, .. }), _)
                if started < since_ms =>
            {
                state
            }
            (State::Open { since_ms, until_ms }, _) if good => {
                let half = State::HalfOpen { since_ms, next_probe_ms: until_ms, successes: 0 };
                Self { state: half, ..*self }.ended(class, started, now_ms, settings)
            }
            (State::HalfOpen { successes, .. }, _)
                if good && successes + 1 >= settings.successes =>
            {
                State::Closed(Window { at_ms: now_ms, ..Window::default() })
            }
            (State::HalfOpen { since_ms, next_probe_ms, successes }, _) if good => {
                State::HalfOpen { since_ms, next_probe_ms, successes: successes + 1 }
            }
            (State::HalfOpen { since_ms, next_probe_ms, .. }, _) => {
                State::Open { since_ms, until_ms: next_probe_ms }
            }
            (open @ State::Open { .. }, _) => open,
        }
    }
}

impl Window {
    fn with(self, class: CallClass, now_ms: u64, settings: &Settings) -> State {
        let age = now_ms.saturating_sub(self.at_ms) as f64;
        let left = (-age / settings.half_life_ms as f64).exp2();
        let failed = class != CallClass::Ok;
        let window = Self {
            calls: self.calls * left + 1.0,
            failures: self.failures * left + f64::from(u8::from(failed)),
            at_ms: self.at_ms.max(now_ms),
            connection_errors: match class {
                CallClass::Connection => self.connection_errors.saturating_add(1),
                _ => 0,
            },
        };
        let share = window.calls >= settings.requests_min
            && window.failures >= settings.failure_share * window.calls;
        if share || window.connection_errors >= settings.connection_errors {
            let until_ms = now_ms.saturating_add(settings.probe_interval_ms);
            return State::Open { since_ms: now_ms, until_ms };
        }
        State::Closed(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SET: fn() -> Settings = Settings::default;

    fn end(breaker: &mut Breaker, class: CallClass, now_ms: u64) {
        let event = Event::Ended { class, started_ms: now_ms, retry_after_ms: None };
        breaker.step(event, now_ms, &SET());
    }

    fn tripped() -> Breaker {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| end(&mut breaker, CallClass::Connection, 1_000));
        breaker
    }

    #[test]
    fn connections_that_fail_in_a_row_open_it_and_single_ones_do_not() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            for class in
                [CallClass::Connection, CallClass::Connection, CallClass::Ok, CallClass::Ok]
            {
                end(&mut breaker, class, 1_000);
            }
        }
        assert_ne!(breaker.standing(1_000), Standing::Closed, "half of many calls failed");
        assert_eq!(tripped().standing(1_000), Standing::Open(6_000));
        let mut breaker = Breaker::default();
        for class in [CallClass::Connection, CallClass::Connection, CallClass::Ok] {
            end(&mut breaker, class, 1_000);
        }
        assert_eq!(breaker.standing(1_000), Standing::Closed);
    }

    #[test]
    fn a_share_needs_enough_calls_and_old_ones_are_forgotten() {
        let mut breaker = Breaker::default();
        (0..7).for_each(|_| end(&mut breaker, CallClass::Server, 1_000));
        assert_eq!(breaker.standing(1_000), Standing::Closed, "too few to say");
        (0..4).for_each(|_| end(&mut breaker, CallClass::Server, 400_000));
        assert_eq!(breaker.standing(400_000), Standing::Closed, "the first are forgotten");
        (0..4).for_each(|_| end(&mut breaker, CallClass::Server, 400_000));
        assert!(matches!(breaker.standing(400_000), Standing::Open(_)));
    }

    #[test]
    fn a_wrong_request_is_not_the_providers_fault() {
        let mut breaker = Breaker::default();
        (0..100).for_each(|_| end(&mut breaker, CallClass::Refused, 1_000));
        assert_eq!(breaker.standing(1_000), Standing::Closed);
    }

    #[test]
    fn a_throttled_provider_is_left_alone_as_long_as_it_says_and_no_longer_than_is_believed() {
        let mut breaker = Breaker::default();
        let class = CallClass::Throttled;
        let event = Event::Ended { class, started_ms: 0, retry_after_ms: Some(3_000) };
        breaker.step(event, 1_000, &SET());
        assert_eq!(breaker.step(Event::Asked, 3_999, &SET()), Permit::Wait(4_000));
        assert_eq!(breaker.step(Event::Asked, 4_000, &SET()), Permit::Pass);
        let event = Event::Ended { class, started_ms: 0, retry_after_ms: Some(u64::MAX) };
        breaker.step(event, 5_000, &SET());
        assert_eq!(breaker.standing(5_000), Standing::Throttled(65_000));
    }

    #[test]
    fn two_probes_that_succeed_close_it_and_one_that_fails_opens_it_anew() {
        let mut breaker = tripped();
        assert_eq!(breaker.step(Event::Asked, 6_000, &SET()), Permit::Probe);
        assert_eq!(breaker.step(Event::Asked, 6_001, &SET()), Permit::Wait(11_000));
        end(&mut breaker, CallClass::Timeout, 6_500);
        assert_eq!(breaker.step(Event::Asked, 6_501, &SET()), Permit::Wait(11_000));
        for now in [11_000, 16_000] {
            assert_eq!(breaker.step(Event::Asked, now, &SET()), Permit::Probe);
            end(&mut breaker, CallClass::Ok, now + 10);
        }
        assert_eq!(breaker.step(Event::Asked, 16_011, &SET()), Permit::Pass);
    }

    #[test]
    fn what_began_before_the_trip_neither_closes_nor_delays_it() {
        let mut breaker = tripped();
        for class in [CallClass::Ok, CallClass::Ok, CallClass::Server] {
            let event = Event::Ended { class, started_ms: 900, retry_after_ms: None };
            breaker.step(event, 5_900, &SET());
        }
        assert_eq!(breaker.standing(5_999), Standing::Open(6_000));
    }

    fn class() -> impl Strategy<Value = CallClass> {
        prop_oneof![
            Just(CallClass::Ok),
            Just(CallClass::Connection),
            Just(CallClass::Timeout),
            Just(CallClass::Server),
            Just(CallClass::Cut),
            Just(CallClass::Refused),
        ]
    }

    proptest! {
        #[test]
        fn after_a_trip_an_interval_sees_one_probe_and_nothing_else(
            steps in proptest::collection::vec((0u64..3_000, proptest::option::of(class())), 1..300),
        ) {
            // When it last tripped, or let a probe pass.
            let (mut breaker, mut now, mut last) = (tripped(), 1_000, 1_000);
            for (wait, ended) in steps {
                now += wait;
                let was_closed = breaker.standing(now) == Standing::Closed;
                match ended {
                    Some(class) => end(&mut breaker, class, now),
                    None => match breaker.step(Event::Asked, now, &SET()) {
                        Permit::Probe => {
                            prop_assert!(now >= last + SET().probe_interval_ms);
                            last = now;
                        }
                        Permit::Pass => prop_assert!(was_closed),
                        Permit::Wait(until) => prop_assert!(until > now),
                    },
                }
                if was_closed && breaker.standing(now) != Standing::Closed {
                    last = now;
                }
            }
        }

        #[test]
        fn where_probes_succeed_it_closes(
            failures in proptest::collection::vec((0u64..20_000, class()), 0..50),
        ) {
            let (mut breaker, mut now) = (tripped(), 1_000);
            for (wait, class) in failures {
                now += wait;
                breaker.step(Event::Asked, now, &SET());
                end(&mut breaker, class, now);
            }
            for _ in 0..=SET().successes {
                now += SET().probe_interval_ms;
                if breaker.step(Event::Asked, now, &SET()) != Permit::Pass {
                    end(&mut breaker, CallClass::Ok, now);
                }
            }
            prop_assert_eq!(breaker.step(Event::Asked, now, &SET()), Permit::Pass);
        }
    }
}
