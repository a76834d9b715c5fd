//! `maestro audit verify`.

use std::path::{Path, PathBuf};

use maestro_evidence::key::PublicKey;
use maestro_evidence::log::check::{Check, Finding, Part, Row};
use maestro_evidence::log::note::{NOTE_BYTES_MAX, NoteKey};
use maestro_evidence::log::path::Head;
use maestro_evidence::log::ticket::{TICKET_BYTES_MAX, Ticket};
use maestro_evidence::log::tile::WIDTH;
use maestro_evidence::log::{self, checkpoint};
use maestro_schemas::api::audit::{AuditLog, AuditRow};
use maestro_schemas::digest::Digest;
use serde_json::{Value, json};

use super::keys::{self, Trusted};
use crate::args::Global;
use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The most rows behind the signed ones that are looked at.
const LATER_MAX: usize = 10_000;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the whole log through the API: its checkpoints, its entries, its tiles, and the rows that they
were made from. Wants a token for every project. What is not as it was signed is named; the exit code is
then 1. Exit code 2 where neither --root nor --key says whose keys count: the server's own word for them is
nobody's. With --proof nothing is asked of any server.

Examples:
  maestro audit verify --root sha256:5b1c…
  maestro audit verify --key maestro.pub
  maestro audit verify --key keys.json --since last.checkpoint --save last.checkpoint
  maestro audit verify --proof cancel.tlog-proof --key maestro.pub")]
pub struct Args {
    /// A public key in PEM, or the signed list of keys, that the log must be signed with; may be
    /// given several times.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The fingerprint of the root that must have signed the list of keys, which is the server's where no
    /// list is given with --key.
    #[arg(long, value_name = "FINGERPRINT")]
    root: Option<Digest>,
    /// A checkpoint that was kept before: the log must have grown from it.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    since: Option<PathBuf>,
    /// Keep the checkpoint here, once everything is as it was signed.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    save: Option<PathBuf>,
    /// Check this proof, as `maestro audit prove` writes it; - for standard input.
    #[arg(long, value_name = "FILE", requires = "keys")]
    proof: Option<PathBuf>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let mut trusted = Trusted::read(&args.keys, args.root)?;
    if let Some(path) = &args.proof {
        return prove(path, &trusted, output);
    }
    let target = target::connect(global).await?;
    let client = &target.client;
    trusted.complete(client, args.root).await?;
    let log = client.audit_log().await?;
    let Some(newest) = client.audit_checkpoint().await? else {
        return nothing(&log, args.since.as_deref(), &trusted, output);
    };
    let keys = trusted.keys();
    let signed = Signed { key: NoteKey { name: &log.origin, keys: &keys }, newest };
    let (heads, others) = signed.heads(client, args.since.as_deref(), &log).await?;
    let compared = compare(client, heads, &others).await?;
    tell(&log, heads, (&compared, &trusted), output)?;
    if let Some(finding) = compared.findings.first() {
        let more = compared.findings.len() - 1;
        return Err(Error::Audit {
            message: finding.to_string(),
            more,
            is_head: finding.place().is_none(),
        });
    }
    if let Some(path) = &args.save {
        tokio::fs::write(path, &signed.newest).await.map_err(Error::file("write", path))?;
    }
    Ok(Exit::Ok)
}

/// What the log's owner signed.
struct Signed<'a> {
    key: NoteKey<'a>,
    newest: String,
}

impl Signed<'_> {
    /// The newest head, and all others that must be its beginnings.
    async fn heads(
        &self,
        client: &Client,
        since: Option<&Path>,
        log: &AuditLog,
    ) -> Result<(Head, Vec<Head>), Error> {
        let newest = self.open(&self.newest, "the newest checkpoint")?;
        // Nobody signed that, but whoever sets object storage back does not set this back too.
        let mut others = vec![Head { size: log.size, root: log.root }];
        if let Some(path) = since {
            let text = keys::bounded(path, NOTE_BYTES_MAX)?;
            others.push(self.open(&text, &path.display().to_string())?);
        }
        let mut after = None;
        loop {
            let page = client.audit_checkpoints(after).await?;
            for text in &page.checkpoints {
                others.push(self.open(text, "a checkpoint that was kept")?);
            }
            // Whoever answers the same page again is not asked for ever.
            match page.next.filter(|next| after.is_none_or(|after| *next > after)) {
                Some(next) => after = Some(next),
                None => return Ok((newest, others)),
            }
        }
    }

    fn open(&self, text: &str, what: &str) -> Result<Head, Error> {
        checkpoint::open(text, &self.key).map_err(|source| Error::Audit {
            message: format!("{what}: {source}"),
            more: 0,
            is_head: true,
        })
    }
}

/// What came of it.
struct Compared {
    findings: Vec<Finding>,
    /// How many rows have a place and are not signed yet.
    later: usize,
}

async fn compare(client: &Client, newest: Head, others: &[Head]) -> Result<Compared, Error> {
    let mut check = Check::new(newest, others);
    let mut later: Vec<AuditRow> = Vec::new();
    let (mut from, mut next) = (0, Some(0));
    while let Some((bundle, tile)) = check.next() {
        let entries = client.audit_tile(&bundle.to_string()).await?;
        let hashes = client.audit_tile(&tile.to_string()).await?;
        let page = client.audit_rows(from).await?;
        (from, next) = (from + u64::from(WIDTH), page.next);
        let (here, behind) = page.rows.into_iter().partition(|row| row.leaf < newest.size);
        let here: Vec<AuditRow> = here;
        later.extend::<Vec<_>>(behind);
        let rows: Vec<Row<'_>> = here.iter().map(|row| (row.leaf, row.entry.as_str())).collect();
        let part = Part { bundle: entries.as_deref(), tile: hashes.as_deref(), rows: &rows };
        let Some(higher) = check.add(part) else { break };
        for expected in higher {
            let found = client.audit_tile(&expected.tile.to_string()).await?;
            check.tile(&expected, found.as_deref());
        }
    }
    while let Some(place) = next.filter(|place| *place >= from && later.len() < LATER_MAX) {
        let page = client.audit_rows(place).await?;
        (from, next) = (place.saturating_add(1), page.next);
        later.extend(page.rows);
    }
    // Asked last: whatever got its place meanwhile has it below this.
    let assigned = client.audit_log().await?.assigned;
    for row in later.iter().filter(|row| row.leaf >= assigned) {
        check.beyond((row.leaf, &row.entry));
    }
    let later = later.iter().filter(|row| row.leaf < assigned).count();
    Ok(Compared { findings: check.finish(), later })
}

fn tell(
    log: &AuditLog,
    head: Head,
    (compared, trusted): (&Compared, &Trusted),
    output: Output,
) -> Result<(), Error> {
    if output.is_json() {
        return output.json(&json!({
            "origin": log.origin, "size": head.size, "root": head.root,
            "trusted": trusted.document(), "later": compared.later, "waiting": log.waiting,
            "findings": compared.findings.iter().map(document).collect::<Vec<Value>>(),
        }));
    }
    trusted.tell(output);
    for finding in &compared.findings {
        output.text(&format!("{finding}\n"))?;
    }
    if compared.findings.is_empty() {
        let (size, root) = (head.size, head.root);
        output.data(&format!("{size} entries are as they were signed, with the root {root}"))?;
    }
    let unsigned = log.waiting + u64::try_from(compared.later).unwrap_or(0);
    if unsigned > 0 {
        output.talk(&format!("{unsigned} more wait to be signed"));
    }
    Ok(())
}

fn document(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind(), "place": finding.place(), "message": finding.to_string(),
    })
}

/// Where nothing is signed there is nothing to compare, unless somebody kept a checkpoint.
fn nothing(
    log: &AuditLog,
    since: Option<&Path>,
    trusted: &Trusted,
    output: Output,
) -> Result<Exit, Error> {
    if log.size > 0 || since.is_some() {
        let message = format!(
            "object storage has no checkpoint of the audit log, and the database says that {} entries were signed",
            log.size
        );
        return Err(Error::Audit { message, more: 0, is_head: true });
    }
    let compared = Compared { findings: Vec::new(), later: 0 };
    tell(log, Head { size: 0, root: log.root }, (&compared, trusted), output)?;
    Ok(Exit::Ok)
}

fn prove(path: &Path, trusted: &Trusted, output: Output) -> Result<Exit, Error> {
    let text = keys::bounded(path, TICKET_BYTES_MAX)?;
    let what = path.display().to_string();
    let failed = |source| Error::Proof { what, source };
    let (ticket, head) = verified(&text, &trusted.keys()).map_err(failed)?;
    let entry = String::from_utf8_lossy(&ticket.entry).into_owned();
    if output.is_json() {
        let entry: Value = serde_json::from_str(&entry)?;
        let trusted = trusted.document();
        output.json(&json!({
            "place": ticket.index, "size": head.size, "trusted": trusted, "entry": entry,
        }))?;
    } else {
        trusted.tell(output);
        output.talk(&format!("entry {} of {} is as it was signed:", ticket.index, head.size));
        output.text(&format!("{entry}\n"))?;
    }
    Ok(Exit::Ok)
}

/// The proof, for whichever log these keys have signed.
fn verified(text: &str, keys: &[PublicKey]) -> Result<(Ticket, Head), log::Error> {
    let ticket = Ticket::parse(text)?;
    let (origin, _) = checkpoint::parse(&ticket.checkpoint)?;
    let head = ticket.verify(&NoteKey { name: origin, keys })?;
    Ok((ticket, head))
}
