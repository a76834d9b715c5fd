//! `maestro bench`.

use maestro_streams::bench::{BusConfig, best_of};
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;

use crate::bench::figures::{Figures, PerStep, median, quantile, rate};
use crate::bench::fleet::{Fleet, RAW_POOL, worker_role};
use crate::bench::load::Load;
use crate::bench::shape::Shape;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// Steps of one measurement of the raw bus.
const RAW_STEPS: u32 = 20_000;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts nats-server, Postgres, a coordinator and a worker of no-op steps, each a process of its own, in
a directory of their own, and measures. The raw bus is measured in turn with the rounds. Figures count
from a release build on a machine that does nothing else.

Examples:
  maestro bench
  maestro bench --json --runs 100 --steps 100
  maestro bench --fan-out 100000 --runs 1 --rounds 1 --no-raw")]
pub struct Args {
    /// How many runs go on at once.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// How many steps the chain of a run has.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: u32,
    /// A fan-out of so many items instead of a chain.
    #[arg(long, value_name = "ITEMS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    fan_out: Option<u32>,
    /// How often the measurement is repeated; the median counts.
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Steps of the single run whose pace is measured; 0 for none.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    sequential: u32,
    /// Slots of the worker.
    #[arg(long, default_value_t = 1_024, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    slots: u32,
    /// Leave the raw bus out.
    #[arg(long)]
    no_raw: bool,
}

pub(crate) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let fleet = Fleet::start(args.slots).await?;
    let measured = measure(&args, &fleet, &output).await;
    fleet.stop().await?;
    let figures = measured?;
    output.show(&figures, || figures.text())?;
    Ok(Exit::Ok)
}

async fn measure(args: &Args, fleet: &Fleet, output: &Output) -> Result<Figures, Error> {
    let load = Load::open(fleet).await?;
    let shape = args.fan_out.map_or(Shape::Chain(args.steps), Shape::FanOut);
    let mut hops = Vec::new();
    if args.sequential > 1 {
        output.talk("one run, step by step");
        let (_, runs) = load.round(fleet, Shape::Chain(args.sequential), 1).await?;
        if let Some(run) = runs.first() {
            hops = load.hops(*run).await?;
        }
    }
    let (mut rounds, mut rates, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=args.rounds {
        if !args.no_raw {
            output.talk(&format!("round {number} of {}: the raw bus", args.rounds));
            raw.push(raw_bus(fleet, args.in_flight(shape)).await?);
        }
        output.talk(&format!("round {number} of {}: {} runs", args.rounds, args.runs));
        let (round, _) = load.round(fleet, shape, args.runs).await?;
        rates.push(rate(&round));
        rounds.push(round);
    }
    let steps_per_second = median(&rates).unwrap_or(0.0);
    Ok(Figures {
        steps_per_second,
        steps_per_second_rounds: rates,
        bus_share: median(&raw).map(|raw| steps_per_second / raw),
        bus_steps_per_second_rounds: raw,
        sequential_ms_p50: quantile(&hops, 0.5),
        sequential_ms_p99: quantile(&hops, 0.99),
        cpu_us_per_step: PerStep::over(&rounds),
        memory_kib: fleet.uses().into(),
        steps: rounds.first().map_or(0, |round| round.steps),
        shape: words(shape, args.runs),
        fsync: load.fsync().await?,
        shards: Topology::default().shards,
        slots: args.slots,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
    })
}

fn words(shape: Shape, runs: u32) -> String {
    match shape {
        Shape::Chain(steps) => format!("{runs} runs of chains of {steps} steps"),
        Shape::FanOut(items) => format!("{runs} runs of a fan-out of {items} items"),
    }
}

impl Args {
    /// How many steps can be under way at once: a chain has one, a fan-out all that have a slot.
    fn in_flight(&self, shape: Shape) -> u32 {
        let of_a_run = match shape {
            Shape::Chain(_) => 1,
            Shape::FanOut(items) => items,
        };
        self.runs.saturating_mul(of_a_run).clamp(1, self.slots)
    }
}

/// Steps per second of the raw bus, the best over some windows and batches. What is under way is on the
/// order of what the runs have under way: with a hundred runs, no more than about a hundred steps are
/// ever on the bus, and a bus that carries a thousand is another one.
async fn raw_bus(fleet: &Fleet, in_flight: u32) -> Result<f64, Error> {
    let config = BusConfig {
        coordinator: fleet.bus(&Role::Coordinator),
        worker: fleet.bus(&worker_role(RAW_POOL)),
        pool: RAW_POOL.parse().map_err(|source| Error::service("name the pool", source))?,
        topology: Topology::default(),
        steps: RAW_STEPS,
        window: in_flight,
        batch: in_flight,
        task_bytes: 700,
        report_bytes: 600,
    };
    let windows = [in_flight.div_ceil(2), in_flight, in_flight.saturating_mul(2)];
    let (best, _, _) = best_of(&config, &windows, &[256, 512])
        .await
        .map_err(|source| Error::service("measure the raw bus", source))?;
    Ok(best)
}
