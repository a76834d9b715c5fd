//! The summaries of a run's promotions, written beside its evidence.

use std::path::Path;

use maestro_evidence::statement::run::file;
use maestro_evidence::verify::promotions::PROMOTIONS_MAX;
use maestro_schemas::api::promotions::PAGE_MAX;
use maestro_schemas::id::RunId;

use super::write::{checked, put};
use crate::client::Client;
use crate::client::promotions::PromotionFilter;
use crate::error::Error;
use crate::output::Output;

/// Writes them; gives their number. Of more than a directory may have, the oldest are left out.
pub(super) async fn write(
    client: &Client,
    run: RunId,
    place: &Path,
    output: Output,
) -> Result<usize, Error> {
    let limit = u32::from(PAGE_MAX);
    let mut filter = PromotionFilter { run: Some(run), limit, ..PromotionFilter::default() };
    let mut count = 0;
    loop {
        let page = client.promotions(&filter).await?;
        for one in page.promotions {
            if count >= PROMOTIONS_MAX {
                output.talk(&format!("only the newest {PROMOTIONS_MAX} promotions are written"));
                return Ok(count);
            }
            if !maestro_schemas::api::promotions::is_environment(&one.environment) {
                let what = format!("{:?} is no environment's name", one.environment);
                return Err(Error::service("write a promotion", what));
            }
            let name = format!("{}/{}.{}.sigstore.json", file::PROMOTIONS, one.environment, one.id);
            let bytes = checked(&name, one.statement, client.promotion(one.id).await?)?;
            put(&place.join(&name), &bytes)?;
            count += 1;
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(count),
        }
    }
}
