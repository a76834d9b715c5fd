//! `maestro keys list`.

use maestro_evidence::key::PublicKey;
use maestro_evidence::key::ring::{Entry, Trust};
use maestro_evidence::moment::Moment;
use serde::Serialize;

use super::Place;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro keys list --keys keys
  maestro keys list --keys keys --json")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Keys {
    root: String,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    fingerprint: String,
    id: String,
    state: &'static str,
    valid_from: Moment,
    valid_until: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    show(&args.place.home().trust()?, output)
}

/// Shows a list.
pub(super) fn show(trust: &Trust, output: Output) -> Result<Exit, Error> {
    let keys = trust.ring().keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let list = Keys { root: trust.root().fingerprint().to_string(), keys };
    output.show(&list, || table(&list))?;
    Ok(Exit::Ok)
}

fn key(entry: &Entry) -> Result<Key, Error> {
    let public = PublicKey::from_pem(&entry.public_key, "a key of the list")?;
    let now = Moment::now();
    let state = match &entry.revoked {
        Some(_) => "revoked",
        None if now < entry.valid_from => "not yet",
        None if now >= entry.valid_until => "over",
        None => "good",
    };
    Ok(Key {
        fingerprint: public.fingerprint().to_string(),
        id: public.id().to_string(),
        state,
        valid_from: entry.valid_from,
        valid_until: entry.valid_until,
        reason: entry.revoked.as_ref().map(|revoked| revoked.reason.clone()),
    })
}

fn table(list: &Keys) -> String {
    let mut table = Table::new(&["key", "state", "from", "until", "reason"]);
    for key in &list.keys {
        table.row([
            key.fingerprint.chars().take("sha256:".len() + 12).collect(),
            key.state.to_owned(),
            key.valid_from.to_string(),
            key.valid_until.to_string(),
            clean(key.reason.as_deref().unwrap_or_default()),
        ]);
    }
    format!("root {}\n\n{}", list.root, table.render("no keys"))
}
