//! The end of the story: everything is ended, nothing is left, and what to try next.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::demo::broken::promise;
use crate::demo::fleet::Fleet;
use crate::demo::place::Place;
use crate::demo::process;
use crate::demo::voice::Voice;
use crate::error::Error;

/// What was ended is gone from the process table within this.
const GONE_MAX: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(50);

/// Processes that use the demo's directory before it begins: a shell that stands in it, say.
pub struct Bystanders(Vec<i32>);

impl Bystanders {
    /// Looks around.
    pub fn of(place: &Place) -> Self {
        Self(process::using(place.root()))
    }

    /// How many processes are left that were not there before, after a while in which they may end.
    pub async fn left(&self, place: &Place) -> usize {
        let until = Instant::now() + GONE_MAX;
        loop {
            let left = process::using(place.root())
                .into_iter()
                .filter(|pid| !self.0.contains(pid))
                .count();
            if left == 0 || Instant::now() >= until {
                return left;
            }
            sleep(GLANCE).await;
        }
    }
}

/// Ends everything, and looks whether it has.
pub async fn fall(
    place: &Place,
    fleet: Fleet,
    before: &Bystanders,
    voice: &Voice,
) -> Result<usize, Error> {
    voice
        .while_waiting("ending workers, coordinator, nats-server and Postgres", fleet.stop())
        .await?;
    let left = before.left(place).await;
    promise(left == 0, "what is left running", "nothing", format!("{left} processes"))?;
    voice.say("  nothing is left running; all that happened is kept, so you can try:");
    Ok(left)
}

/// Three commands to try next.
pub fn try_next(place: &Place, commands: [&str; 3], voice: &Voice) {
    voice.say("");
    voice.say(&format!("    cd {}", Place::shown(&place.project())));
    let program = std::env::current_exe().unwrap_or_else(|_| Path::new("maestro").to_owned());
    for command in commands {
        voice.say(&format!("    {} {command}", program.display()));
    }
}
