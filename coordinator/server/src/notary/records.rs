//! A run's rows as files: one text of JSON a line, some thousand lines a file.

use std::pin::pin;

use futures::TryStreamExt as _;
use maestro_evidence::statement::run::file;

use super::files::Files;
use super::{Subjects, Unsigned};
use crate::store::evidence::{Rows, rows};

/// A file is full with so many bytes.
const PAGE_BYTES: usize = 4 << 20;

/// The most files of one kind of rows.
const PAGES_MAX: usize = 2_000;

pub(super) async fn gather(files: &mut Files<'_>, subject: &Subjects) -> Result<(), Unsigned> {
    one(files, Rows::Run, file::RUN).await?;
    let plan = serde_json::to_value(subject.plan.plan()).unwrap_or_default().to_string();
    files.keep(file::PLAN.to_owned(), plan.as_bytes()).await?;
    one(files, Rows::Commands, file::COMMANDS).await?;
    for (kind, directory) in [
        (Rows::Attempts, file::ATTEMPTS),
        (Rows::Steps, file::STEPS),
        (Rows::Calls, file::CALLS),
        (Rows::Decisions, file::DECISIONS),
    ] {
        pages(files, kind, directory).await?;
    }
    Ok(())
}

/// All rows in one file; there are few of these.
async fn one(files: &mut Files<'_>, kind: Rows, path: &str) -> Result<(), Unsigned> {
    let lines: Vec<String> = rows(&files.notary.pool, files.due.run, kind).try_collect().await?;
    let body: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    files.keep(path.to_owned(), body.as_bytes()).await?;
    Ok(())
}

async fn pages(files: &mut Files<'_>, kind: Rows, directory: &str) -> Result<(), Unsigned> {
    let pool = files.notary.pool.clone();
    let mut lines = pin!(rows(&pool, files.due.run, kind));
    let (mut page, mut count) = (String::new(), 0);
    while let Some(line) = lines.try_next().await? {
        page.push_str(&line);
        page.push('\n');
        if page.len() >= PAGE_BYTES {
            count += 1;
            keep(files, directory, count, &std::mem::take(&mut page)).await?;
        }
    }
    if !page.is_empty() {
        keep(files, directory, count + 1, &page).await?;
    }
    Ok(())
}

async fn keep(
    files: &mut Files<'_>,
    directory: &str,
    number: usize,
    page: &str,
) -> Result<(), Unsigned> {
    if number > PAGES_MAX {
        return Err(Unsigned::TooMany(number));
    }
    files.keep(format!("{directory}/{number:04}.jsonl"), page.as_bytes()).await?;
    Ok(())
}
