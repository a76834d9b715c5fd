//! The router on real outcomes: learnt on one half of them, judged on the other, over many splits.
//! `cargo test -p maestro-router --test replay -- --nocapture` prints what it finds.

#![cfg(test)]

use maestro_router::simulate::choice::{Goals, Verdict, choose};
use maestro_router::simulate::outcome::{Outcome, read};
use maestro_router::simulate::price::Prices;
use maestro_router::simulate::replay::{Report, replay};
use maestro_router::simulate::shuffle;

const SPLITS: u64 = 40;

fn outcomes() -> Vec<Outcome> {
    read(include_str!("data/outcomes.csv")).unwrap()
}

fn report(train: &[Outcome], judge: &[Outcome]) -> Report {
    let goals = Goals::default();
    replay(train, judge, &choose(train, &Prices::default(), &goals, 1), &goals)
}

/// Halves in an order that the seed decides.
fn split(all: &[Outcome], seed: u64) -> (Vec<Outcome>, Vec<Outcome>) {
    let mixed: Vec<Outcome> =
        shuffle::order(all.len(), seed).iter().map(|index| all[*index].clone()).collect();
    let (train, judge) = mixed.split_at(all.len() / 2);
    (train.to_vec(), judge.to_vec())
}

/// As many rows as there are, each drawn from all of them: Knuth's MMIX generator, high bits.
fn draw(all: &[Outcome], seed: u64) -> Vec<Outcome> {
    let mut state = seed;
    let mut pick = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all[(state >> 33) as usize % all.len()].clone()
    };
    all.iter().map(|_| pick()).collect()
}

struct Summary {
    reached: [f64; 4],
    saving: [f64; 2],
    lower: [f64; 2],
    ratio: [f64; 2],
}

/// Shares of reports that reach each goal and all; means and worst cases.
fn summary(what: &str, reports: &[Report]) -> Summary {
    let count = reports.len() as f64;
    let share = |pick: fn(&Report) -> bool| {
        reports.iter().filter(|report| pick(report)).count() as f64 / count
    };
    let figures = |pick: fn(&Report) -> f64, worse: fn(f64, f64) -> f64| {
        let found: Vec<f64> = reports.iter().map(pick).collect();
        [found.iter().sum::<f64>() / count, found.into_iter().reduce(worse).unwrap()]
    };
    let summary = Summary {
        reached: [
            share(|report| report.reached.saving),
            share(|report| report.reached.loss),
            share(|report| report.reached.loss_ratio),
            share(|report| {
                report.reached.saving && report.reached.loss && report.reached.loss_ratio
            }),
        ],
        saving: figures(|report| report.policy("router").unwrap().saving_percent, f64::min),
        lower: figures(|report| report.policy("router").unwrap().difference_lower_points, f64::min),
        ratio: figures(|report| report.loss_ratio.unwrap(), f64::max),
    };
    eprintln!(
        "{what}: reached saving, loss, ratio, all {:.2?}; mean and worst: saving {:.2?} %, lower bound {:.2?} points, loss ratio {:.2?}",
        summary.reached, summary.saving, summary.lower, summary.ratio
    );
    summary
}

#[test]
fn over_halves_the_goals_are_reached_on_average_and_mostly_one_by_one() {
    let all = outcomes();
    let reports: Vec<Report> = (0..SPLITS)
        .map(|seed| {
            let (train, judge) = split(&all, seed);
            report(&train, &judge)
        })
        .collect();
    let found = summary("halves", &reports);
    assert!(found.saving[0] >= 15.0 && found.lower[0] > -1.0 && found.ratio[0] <= 0.35);
    // Half as many rows as a file has leave no more room than this.
    assert!(found.reached.iter().all(|share| *share >= 0.7));
    assert!(found.saving[1] > 12.0 && found.lower[1] > -1.5 && found.ratio[1] < 0.4);
}

#[test]
fn over_whole_files_drawn_anew_all_goals_are_reached() {
    let all = outcomes();
    let reports: Vec<Report> =
        (0..20).map(|seed| report(&draw(&all, 2 * seed), &draw(&all, 2 * seed + 1))).collect();
    let found = summary("whole files", &reports);
    assert!(found.reached[3] >= 0.95);
}

#[test]
fn the_router_lies_between_random_and_the_oracle() {
    let (train, judge) = split(&outcomes(), 1);
    let found = report(&train, &judge);
    let score = |name| found.policy(name).unwrap().score_points;
    assert!(score("always-weak") < score("random") && score("random") < score("router"));
    assert!(score("router") < score("oracle"));
    let cost = |name| found.policy(name).unwrap().cost_usd;
    assert!((cost("random") - cost("router")).abs() < 1e-9 && cost("oracle") <= cost("router"));
}

#[test]
fn the_same_arguments_give_the_same_report() {
    let (train, judge) = split(&outcomes(), 2);
    assert_eq!(report(&train, &judge), report(&train, &judge));
}

#[test]
fn judged_outcomes_change_nothing_that_is_decided() {
    let (train, judge) = split(&outcomes(), 3);
    let mut turned = judge.clone();
    for row in &mut turned {
        std::mem::swap(&mut row.weak_correct, &mut row.strong_correct);
    }
    let (one, other) = (report(&train, &judge), report(&train, &turned));
    assert_eq!(one.setting, other.setting);
    assert_eq!(one.policy("router").unwrap().cost_usd, other.policy("router").unwrap().cost_usd);
}

#[test]
fn topics_that_were_never_seen_go_to_the_strong_model_where_they_are_short() {
    let (train, mut judge) = split(&outcomes(), 4);
    for row in &mut judge {
        row.topic = format!("new {}", row.topic);
        row.prompt_chars = row.prompt_chars.min(1_000);
    }
    let found = report(&train, &judge);
    assert_eq!(found.topics_unseen, found.judge.topics);
    assert_eq!(found.policy("router").unwrap().weak_percent, 0.0);
    assert!(found.reached.loss && !found.reached.saving);
}

#[test]
fn with_a_weak_model_that_is_always_wrong_little_is_saved_and_the_loss_is_mostly_held() {
    let mut all = outcomes();
    for row in &mut all {
        row.weak_correct = false;
    }
    let held = (0..20).filter(|seed| {
        let (train, judge) = split(&all, *seed);
        let found = report(&train, &judge);
        assert_ne!(found.setting.verdict, Verdict::Reached);
        assert!(found.policy("router").unwrap().weak_percent < 5.0);
        found.reached.loss
    });
    let held = held.count();
    eprintln!("always wrong: the loss is held in {held} of 20");
    assert!(held >= 18, "{held}");
}

#[test]
fn where_the_goals_are_too_much_to_show_less_is_saved_and_the_loss_is_held() {
    let all: Vec<Outcome> =
        outcomes().into_iter().filter(|row| row.topic != "high_school_mathematics").collect();
    let (train, judge) = split(&all, 1);
    let goals = Goals { saving_min: 0.3, ..Goals::default() };
    let choice = choose(&train, &Prices::default(), &goals, 1);
    let found = replay(&train, &judge, &choice, &goals);
    assert_eq!(found.setting.verdict, Verdict::SavesLess);
    assert!(found.policy("router").unwrap().saving_percent > 5.0 && found.reached.loss);
}
