//! `maestro secrets rewrap`.

use maestro_schemas::api::secrets::SecretsRewrapped;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::words::count;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
After `maestro secrets keys rotate`: wraps the data keys of the project's secrets by the new key, 100 at a time.
Values are not touched. Stopped on the way, it goes on where it was when it is called again.

Examples:
  maestro secrets rewrap --project shop")]
pub struct Args {}

pub(super) async fn perform(_: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let mut all = SecretsRewrapped::default();
    loop {
        let page = target.client.rewrap_secrets().await?;
        all = SecretsRewrapped { wrapped: all.wrapped + page.wrapped, ..page };
        // Who finds nothing to do and something left has a neighbour at work, who does it.
        if page.left == page.lost || page.wrapped == 0 {
            break;
        }
    }
    output.show(&all, || {
        let keys = count(u64::from(all.wrapped), "data key");
        let lost = match all.lost {
            0 => String::new(),
            lost => format!(
                ", {lost} of them wrapped by a key that the server has not; its log names them"
            ),
        };
        format!("{keys} wrapped anew, {} left{lost}", all.left)
    })?;
    Ok(if all.left == 0 { Exit::Ok } else { Exit::Error })
}
