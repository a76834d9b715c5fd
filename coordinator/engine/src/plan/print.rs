//! A plan for people: as a tree of lines, and as a Mermaid flowchart.
//!
//! Both are functions of the plan and its answers; golden files hold them still.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maestro_schemas::api::plans::{PlanAnswer, PlannedStep};
use maestro_schemas::plan::{Items, Node, Plan};

use crate::pipeline::diagnostic::list;

/// The plan as lines: a heading, each stage with its steps, then what is not resolved.
pub fn tree(plan: &Plan, answers: &[PlannedStep]) -> String {
    let mut text = String::new();
    let version =
        plan.pipeline_version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}{version} · {} in {}",
        plan.name,
        count(plan.nodes.len(), "step"),
        count(plan.stages.len(), "stage")
    );
    let rows: Vec<Row> =
        plan.nodes.iter().enumerate().map(|(index, node)| row(node, answers.get(index))).collect();
    let widths = [0, 1, 2].map(|column| {
        rows.iter()
            .filter_map(|row| row.cells.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    });
    for (index, stage) in (0u32..).zip(&plan.stages) {
        let _ = writeln!(text, "\n{}", stage.name);
        let members: Vec<&Row> = rows.iter().filter(|row| row.stage == index).collect();
        for (place, row) in members.iter().enumerate() {
            let branch = if place + 1 == members.len() { "└─" } else { "├─" };
            let mut line = branch.to_owned();
            for (cell, width) in row.cells.iter().zip(widths) {
                let _ = write!(line, " {cell:width$} ");
            }
            let _ = write!(line, " {}", row.rest);
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    remarks(plan, &mut text);
    text
}

struct Row {
    stage: u32,
    cells: [String; 3],
    rest: String,
}

fn row(node: &Node, answer: Option<&PlannedStep>) -> Row {
    let name = node.id.split_once('/').map_or(node.id.as_str(), |(_, name)| name);
    let mut rest: Vec<String> = Vec::new();
    if let Some(answer) = answer {
        rest.push(format!("{:8}{}", word(answer.answer), answer.why));
    }
    if let Some(for_each) = &node.for_each {
        rest.push(match &for_each.items {
            Items::Literal(items) => format!("× {}", items.len()),
            Items::Range(count) => format!("× {count}"),
            Items::Expression(expression) => format!("for each of {expression}"),
        });
    }
    if let Some(condition) = node.condition.as_deref().filter(|_| answer.is_none()) {
        rest.push(format!("if {condition}"));
    }
    if node.allow_failure {
        rest.push("may fail".into());
    }
    Row {
        stage: node.stage,
        cells: [name.to_owned(), node.action.name.clone(), format!("[{}]", node.pool)],
        rest: rest.join(" · "),
    }
}

fn word(answer: PlanAnswer) -> &'static str {
    match answer {
        PlanAnswer::Cached => "cached",
        PlanAnswer::Runs => "runs",
        PlanAnswer::Depends => "depends",
        PlanAnswer::Skipped => "skipped",
    }
}

fn count(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn remarks(plan: &Plan, text: &mut String) {
    if !plan.unresolved.is_empty() {
        let _ = writeln!(text, "\nnot resolved yet");
        let mut things: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for thing in &plan.unresolved {
            things.entry((&thing.kind, &thing.name)).or_default().push(&thing.step);
        }
        for ((kind, name), steps) in things {
            let _ = writeln!(text, "  {kind} {name} ({})", list(steps, "and"));
        }
    }
    if !plan.warnings.is_empty() {
        let _ = writeln!(text, "\nwarnings");
        for warning in &plan.warnings {
            let _ = writeln!(text, "  {warning}");
        }
    }
}

/// The plan as a Mermaid flowchart: a subgraph for each stage, an arrow for each need.
pub fn mermaid(plan: &Plan, answers: &[PlannedStep]) -> String {
    let mut text = String::from("flowchart LR\n");
    for (index, stage) in (0u32..).zip(&plan.stages) {
        let _ = writeln!(text, "  subgraph s{index}[\"{}\"]", escape(&stage.name));
        for (number, node) in plan.nodes.iter().enumerate().filter(|(_, node)| node.stage == index)
        {
            let class = answers
                .get(number)
                .map(|answer| format!(":::{}", word(answer.answer)))
                .unwrap_or_default();
            let name = node.id.split_once('/').map_or(node.id.as_str(), |(_, name)| name);
            let (open, close) = if node.for_each.is_some() { ("[[", "]]") } else { ("[", "]") };
            let _ = writeln!(
                text,
                "    n{number}{open}\"{}<br/>{}\"{close}{class}",
                escape(name),
                escape(&node.action.name)
            );
        }
        text.push_str("  end\n");
    }
    for (number, node) in plan.nodes.iter().enumerate() {
        for need in &node.needs {
            let arrow = if node.reads.contains(need) { "==>" } else { "-->" };
            let _ = writeln!(text, "  n{need} {arrow} n{number}");
        }
    }
    if !answers.is_empty() {
        text.push_str("  classDef cached fill:#d8f3dc,stroke:#2d6a4f\n");
        text.push_str("  classDef runs fill:#fff3bf,stroke:#997404\n");
        text.push_str("  classDef depends fill:#e7e5e4,stroke:#57534e\n");
        text.push_str("  classDef skipped fill:#ffffff,stroke:#a8a29e,stroke-dasharray:4\n");
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "#quot;").replace('<', "&lt;").replace('>', "&gt;")
}
