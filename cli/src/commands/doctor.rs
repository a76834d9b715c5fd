//! `maestro doctor`: what Maestro needs, looked at one by one.

use std::path::Path;
use std::process::Command;

use maestro_schemas::sandbox::Offered;
use serde::Serialize;

use crate::args::Global;
use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::local::tools::{Finding, Search};
use crate::output::Output;
use crate::service::sandbox::SandboxArgs;
use crate::target;
use crate::view::clean::clean;
use crate::view::paint::Paint;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with exit code 1 where something that is required is not as it should be. With --server the
programs of the local stack are not required.

Examples:
  maestro doctor
  maestro doctor --server https://maestro.example.org --json")]
pub struct Args {}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: String,
    ok: bool,
    required: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn good(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), ok: true, required: true, detail: detail.into(), fix: None }
    }

    fn bad(name: &str, detail: impl Into<String>, fix: Option<String>) -> Self {
        Self { name: name.to_owned(), ok: false, required: true, detail: detail.into(), fix }
    }

    fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

pub(crate) async fn perform(_: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let mut checks = Vec::new();
    let is_remote = global.server.is_some() && !global.local;
    for finding in Search::from_env(Path::new(".")).report().await {
        let check = tool(finding);
        checks.push(if is_remote { check.optional() } else { check });
    }
    checks.push(directory());
    checks.push(git().optional());
    checks.push(sandbox().await.optional());
    match target::find(global).await {
        Ok(Some(target)) => server(&target.client, &mut checks).await,
        Ok(None) => checks
            .push(Check::good("server", "none is named, and no local stack runs here").optional()),
        Err(error) => checks.push(Check::bad("server", error.to_string(), error.hint())),
    }
    output.show(&checks, || text(&checks, output.paint()))?;
    let is_well = checks.iter().all(|check| check.ok || !check.required);
    Ok(if is_well { Exit::Ok } else { Exit::Error })
}

fn tool(finding: Finding) -> Check {
    let place = finding.path.map(|path| format!(" at {}", path.display())).unwrap_or_default();
    let version = finding.version.unwrap_or_default();
    let detail =
        finding.problem.unwrap_or_else(|| format!("{version}{place}, at least {}", finding.least));
    Check { name: finding.tool, ok: finding.ok, required: true, detail, fix: finding.hint }
}

fn directory() -> Check {
    match tempfile::NamedTempFile::new_in(".") {
        Ok(_) => Check::good("directory", "can be written to"),
        Err(error) => Check::bad("directory", format!("cannot be written to: {error}"), None),
    }
}

fn git() -> Check {
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            Check::good("git", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => Check::bad(
            "git",
            "does not run; pipelines that name git.sha do not compile",
            Some("install git".to_owned()),
        ),
    }
}

async fn sandbox() -> Check {
    let settings = maestro_build::Settings::from_variables(std::env::vars());
    let args = match SandboxArgs::of_environment() {
        Ok(args) => args,
        Err(error) => return Check::bad("sandbox", error.to_string(), error.hint()),
    };
    let fix = || Some("scripts/get-tools.sh gets bubblewrap; see docs/sandbox.md".to_owned());
    match args.probe(&settings).await.map(|host| host.offered()) {
        Ok(Offered { level, limits_by, reason: None }) => {
            Check::good("sandbox", format!("{level}, limits by {}", limits_by.as_str()))
        }
        Ok(Offered { level, limits_by, reason: Some(reason) }) => {
            let found = format!("{level}, limits by {}: {reason}", limits_by.as_str());
            Check::bad("sandbox", found, fix())
        }
        Err(reason) => Check::bad("sandbox", reason, fix()),
    }
}

async fn server(client: &Client, checks: &mut Vec<Check>) {
    match client.ready().await {
        Ok(()) => {
            checks.push(Check::good("server", format!("{} is ready", client.address().as_str())))
        }
        Err(error) => {
            let hint = Error::from(error);
            checks.push(Check::bad("server", hint.to_string(), hint.hint()));
            return;
        }
    }
    checks.push(match client.whoami().await {
        Ok(who) => match who.roles.get(client.project().as_str()).or_else(|| who.roles.get("*")) {
            Some(role) => Check::good(
                "token",
                format!("{} is {role} of project {}", who.name, client.project()),
            ),
            None => Check::bad(
                "token",
                format!("{} has no role in project {}", who.name, client.project()),
                Some(
                    "name another project with --project, or ask for a role in this one".to_owned(),
                ),
            ),
        },
        Err(error) => {
            let error = Error::from(error);
            Check::bad("token", error.to_string(), error.hint())
        }
    });
    checks.push(pools(client).await.optional());
}

async fn pools(client: &Client) -> Check {
    match client.pools().await {
        Ok(list) => {
            let served: Vec<String> = list
                .pools
                .iter()
                .filter(|pool| !pool.workers.is_empty())
                .map(|pool| format!("{} ({} slots)", pool.name, pool.slots))
                .collect();
            if served.is_empty() {
                let fix = "start one with `maestro worker --pool build`".to_owned();
                Check::bad("workers", "none serves any pool", Some(fix))
            } else {
                Check::good("workers", served.join(", "))
            }
        }
        Err(error) => Check::bad("workers", error.to_string(), None),
    }
}

fn text(checks: &[Check], paint: Paint) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        let sign = match (check.ok, check.required) {
            (true, _) => paint.good("✓"),
            (false, true) => paint.bad("✗"),
            (false, false) => paint.warn("!"),
        };
        lines.push(format!("{sign} {:<width$}  {}", clean(&check.name), clean(&check.detail)));
        let fix = check.fix.iter().filter(|_| !check.ok);
        lines.extend(fix.map(|fix| format!("  {:<width$}  hint: {}", "", clean(fix))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_what_to_do() {
        let checks = [
            Check::good("git", "2.39"),
            Check::bad("nats-server", "was not found", Some("make tools".into())),
        ];
        assert_eq!(
            text(&checks, Paint::OFF),
            "✓ git          2.39\n✗ nats-server  was not found\n               hint: make tools"
        );
    }
}
