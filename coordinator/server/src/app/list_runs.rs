//! Lists a project's runs, a page at a time.

use std::collections::BTreeMap;

use maestro_schemas::api::runs::RunPage;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::RunState;

use super::{App, Error};
use crate::store::run::{self, Filter};

/// The most runs of a page.
pub const PAGE_MAX: u16 = 200;
/// The runs of a page where nobody says how many.
pub const PAGE_DEFAULT: u16 = 50;

/// What is asked for, as texts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// A state.
    pub state: Option<String>,
    /// A pipeline's name.
    pub pipeline: Option<String>,
    /// Labels as `name=value`.
    pub labels: Vec<String>,
    /// The most runs.
    pub limit: Option<u16>,
    /// What the page before said.
    pub cursor: Option<String>,
}

impl App {
    /// The page, the youngest first.
    pub async fn list_runs(&self, project: &ProjectName, query: Query) -> Result<RunPage, Error> {
        let count = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let mut filter = filter(query)?;
        filter.count_max = count + 1;
        let mut runs = run::list(&self.pool, project, &filter).await?;
        let is_last = runs.len() <= usize::from(count);
        runs.truncate(usize::from(count));
        let next = runs.last().filter(|_| !is_last).map(|run| run.id.to_string());
        Ok(RunPage { runs, next })
    }
}

fn filter(query: Query) -> Result<Filter, Error> {
    let state = query.state.map(|text| {
        RunState::parse(&text)
            .ok_or_else(|| Error::invalid("state", format!("{text:?} is not a run's state")))
    });
    let before = query.cursor.map(|text| {
        text.parse::<RunId>()
            .map_err(|_| Error::invalid("cursor", "expected what the page before gave as `next`"))
    });
    let labels = query.labels.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !text.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::invalid("label", "expected name=value")),
    });
    let pipeline = match query.pipeline {
        Some(name) if name.contains('\0') => {
            return Err(Error::invalid("pipeline", "no pipeline has such a name"));
        }
        name => name,
    };
    Ok(Filter {
        state: state.transpose()?,
        pipeline,
        labels: labels.collect::<Result<BTreeMap<_, _>, Error>>()?,
        before: before.transpose()?,
        count_max: 0,
    })
}
