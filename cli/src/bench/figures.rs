//! What was measured, and how it is printed.

use serde::Serialize;

use super::fleet::Uses;
use super::load::Round;

/// What a measurement found.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The median over the rounds.
    pub steps_per_second: f64,
    /// Each round's, in order.
    pub steps_per_second_rounds: Vec<f64>,
    /// The raw bus in steps per second, in turn with the rounds.
    pub bus_steps_per_second_rounds: Vec<f64>,
    /// The median of the rounds divided by the median of the raw bus.
    pub bus_share: Option<f64>,
    /// From one step's execution to the next one's in a chain of one run, in milliseconds.
    pub sequential_ms_p50: Option<f64>,
    /// The same, of which one in a hundred is longer.
    pub sequential_ms_p99: Option<f64>,
    /// Processor time of a step, in microseconds, by process, over all rounds.
    pub cpu_us_per_step: PerStep,
    /// Most memory in KiB, by process.
    pub memory_kib: Memory,
    /// How many steps a round has.
    pub steps: u64,
    /// What a round is, in words.
    pub shape: String,
    /// What Postgres was set to.
    pub fsync: String,
    /// How many shards.
    pub shards: u16,
    /// How many slots the worker has.
    pub slots: u32,
    /// How many processors the machine has.
    pub cores: usize,
}

/// A figure for each process.
#[derive(Debug, Serialize)]
pub struct PerStep {
    /// nats-server.
    pub server: f64,
    /// Postgres.
    pub database: f64,
    /// The coordinator.
    pub coordinator: f64,
    /// The worker.
    pub worker: f64,
}

/// Memory of each process.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// nats-server.
    pub server: u64,
    /// Postgres.
    pub database: u64,
    /// The coordinator.
    pub coordinator: u64,
    /// The worker.
    pub worker: u64,
}

impl PerStep {
    /// What a step of these rounds used.
    pub fn over(rounds: &[Round]) -> Self {
        let steps: u64 = rounds.iter().map(|round| round.steps).sum();
        let per = |pick: fn(&Uses) -> u64| {
            let used: u64 = rounds.iter().map(|round| pick(&round.used)).sum();
            used as f64 / steps.max(1) as f64
        };
        Self {
            server: per(|used| used.server.cpu_us),
            database: per(|used| used.database.cpu_us),
            coordinator: per(|used| used.coordinator.cpu_us),
            worker: per(|used| used.worker.cpu_us),
        }
    }
}

impl From<Uses> for Memory {
    fn from(uses: Uses) -> Self {
        Self {
            server: uses.server.memory_kib,
            database: uses.database.memory_kib,
            coordinator: uses.coordinator.memory_kib,
            worker: uses.worker.memory_kib,
        }
    }
}

/// Steps per second of a round.
pub fn rate(round: &Round) -> f64 {
    round.steps as f64 / round.elapsed.as_secs_f64()
}

/// The middle of some figures; of an even number, the lower of both.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The figure below which `share` of the sorted ones are.
pub fn quantile(sorted: &[u64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).map(|us| *us as f64 / 1000.0)
}

impl Figures {
    /// The figures for people.
    pub fn text(&self) -> String {
        let share = self.bus_share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
        let ms =
            |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"));
        let rounds = |figures: &[f64]| {
            figures.iter().map(|figure| format!("{figure:.0}")).collect::<Vec<_>>().join(" ")
        };
        let mib = |kib: u64| kib / 1024;
        let (cpu, memory) = (&self.cpu_us_per_step, &self.memory_kib);
        format!(
            "{shape}\n\
             steps per second       {rate:.0}   (rounds: {all})\n\
             share of the raw bus   {share}   (raw: {raw})\n\
             sequential step        p50 {p50}, p99 {p99}\n\
             CPU per step, µs       server {:.0}, database {:.0}, coordinator {:.0}, worker {:.0}\n\
             memory, MiB            server {}, database {}, coordinator {}, worker {}\n\
             settings               {}, {} shards, {} slots, {} cores\n",
            cpu.server,
            cpu.database,
            cpu.coordinator,
            cpu.worker,
            mib(memory.server),
            mib(memory.database),
            mib(memory.coordinator),
            mib(memory.worker),
            self.fsync,
            self.shards,
            self.slots,
            self.cores,
            shape = self.shape,
            rate = self.steps_per_second,
            all = rounds(&self.steps_per_second_rounds),
            raw = rounds(&self.bus_steps_per_second_rounds),
            p50 = ms(self.sequential_ms_p50),
            p99 = ms(self.sequential_ms_p99),
        )
    }
}
