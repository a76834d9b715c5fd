//! A replay's report, for people.

use maestro_router::simulate::choice::{Goals, Verdict};
use maestro_router::simulate::replay::{Figures, Report, Rows};

use crate::view::table::Table;
use crate::view::words::count;

/// The lines.
pub(super) fn text(report: &Report, goals: &Goals) -> String {
    let mut table = Table::new(&[
        "policy",
        "cost, usd",
        "saving",
        "to weak",
        "score",
        "interval",
        "difference",
        "at least",
    ]);
    for figures in &report.policies {
        table.row(row(figures));
    }
    let sure = report.confidence_percent;
    [
        format!("trained on {}, judged on {}{}", rows(report.train), rows(report.judge), unseen(report)),
        setting(report),
        String::new(),
        table.render("no policies"),
        String::new(),
        format!(
            "score with its {sure} % interval; difference to always-strong in points, with its one-sided {sure} % lower bound"
        ),
        reached(report, goals),
    ]
    .join("\n")
}

fn rows(rows: Rows) -> String {
    format!("{} of {}", count(rows.rows as u64, "row"), count(rows.topics as u64, "topic"))
}

fn unseen(report: &Report) -> String {
    match report.topics_unseen {
        0 => String::new(),
        number => format!(", {number} of them never seen in training"),
    }
}

fn setting(report: &Report) -> String {
    let setting = &report.setting;
    let found = match (
        setting.saving_percent,
        setting.difference_points,
        setting.difference_lower_points,
    ) {
        (Some(saving), Some(difference), Some(lower)) => {
            format!("a saving of {saving:.1} %, difference {difference:+.2}, at least {lower:+.2}")
        }
        _ => "none holds the loss on the training file, so all goes to the strong model".to_owned(),
    };
    let short = match setting.verdict {
        Verdict::SavesLess => "; none that holds the loss saves as much as asked",
        Verdict::Reached | Verdict::NoneHolds => "",
    };
    format!("setting, chosen on the training file: {found}{short}")
}

fn row(figures: &Figures) -> [String; 8] {
    let [low, high] = figures.score_interval_points;
    [
        figures.policy.to_owned(),
        format!("{:.4}", figures.cost_usd),
        format!("{:.1} %", figures.saving_percent),
        format!("{:.1} %", figures.weak_percent),
        format!("{:.2}", figures.score_points),
        format!("{low:.2} to {high:.2}"),
        format!("{:+.2}", figures.difference_points),
        format!("{:+.2}", figures.difference_lower_points),
    ]
}

fn reached(report: &Report, goals: &Goals) -> String {
    let word = |reached: bool| if reached { "reached" } else { "missed" };
    let ratio = report
        .loss_ratio
        .map_or_else(|| "nothing to compare with".to_owned(), |ratio| format!("{ratio:.2}"));
    format!(
        "goals of the router: saving ≥ {} % {}; lower bound > -{} points {}; loss ≤ {} of random's ({ratio}) {}",
        100.0 * goals.saving_min,
        word(report.reached.saving),
        100.0 * goals.loss_max,
        word(report.reached.loss),
        goals.loss_ratio_max,
        word(report.reached.loss_ratio),
    )
}
