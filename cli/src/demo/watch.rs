//! A run of the story, watched to its end, with or without an accident on the way.

use std::time::Duration;

use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::id::RunId;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::accident::Accident;
use super::act::review;
use super::broken::Broken;
use super::fleet::Fleet;
use super::voice::Voice;
use crate::client::Client;
use crate::client::events::Next;
use crate::error::Error;
use crate::follow::sight::Sight;
use crate::view::duration::now_ms;
use crate::view::model::Run;

/// A live view is redrawn no more often.
const TICK: Duration = Duration::from_millis(100);
/// A run of the story may take this long, on a slow and busy machine too.
const RUN_MAX: Duration = Duration::from_secs(240);
/// A run that was submitted appears within this.
const APPEARANCE: Duration = Duration::from_secs(20);

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What the server says of it.
    pub detail: RunDetail,
    /// Its steps.
    pub run: Run,
}

/// Shows a run until it has ended.
pub async fn watch(
    run: RunId,
    fleet: &mut Fleet,
    accident: &mut Accident,
    voice: &Voice,
) -> Result<Ended, Error> {
    let watched = timeout(RUN_MAX, follow(run, fleet, accident, voice)).await;
    watched.map_err(|_| Error::from(Broken::Slow { what: "the run", limit: RUN_MAX }))?
}

async fn follow(
    id: RunId,
    fleet: &mut Fleet,
    accident: &mut Accident,
    voice: &Voice,
) -> Result<Ended, Error> {
    let client = fleet.client.clone();
    let Ended { detail, mut run } = appear(&client, id).await?;
    let mut stream = client.events(id, detail.batch);
    let mut sight = Sight::new(voice.output);
    sight.begin(&run);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !run.state.is_final() {
        tokio::select! {
            next = stream.next() => match next? {
                Next::Event(event) => {
                    sight.event(&mut run, &event, now_ms())?;
                    if review::is_end(&event) {
                        sight.aside(&review::words(&client, &run).await?);
                    }
                    if let Some(words) = accident.see(&event) {
                        sight.say(&words);
                    }
                }
                Next::Lost(_) => {
                    sight.say("the connection is lost; trying again");
                    stream.pause().await;
                }
                // It ended with the run, or the server wants to be asked again: the rows say which.
                Next::Ended => {
                    refresh(&client, &mut run).await?;
                    stream.pause().await;
                }
            },
            _ = ticks.tick() => {
                fleet.check()?;
                let here_ms = now_ms();
                if let Some(words) = accident.strike(&run, run.server_ms(here_ms), fleet).await? {
                    sight.say(&words);
                }
                if voice.output.is_live() {
                    sight.tick(&run, now_ms());
                }
            }
        }
    }
    let detail = refresh(&client, &mut run).await?;
    sight.leave(&run, now_ms());
    Ok(Ended { detail, run })
}

/// A run that was just submitted may not be there yet.
async fn appear(client: &Client, run: RunId) -> Result<Ended, Error> {
    let until = Instant::now() + APPEARANCE;
    loop {
        match read(client, run).await {
            Err(_) if Instant::now() < until => sleep(TICK).await,
            answer => return answer,
        }
    }
}

async fn refresh(client: &Client, run: &mut Run) -> Result<RunDetail, Error> {
    let detail = client.run(run.id).await?;
    run.refresh(&detail, client.steps(run.id).await?);
    Ok(detail)
}

async fn read(client: &Client, run: RunId) -> Result<Ended, Error> {
    let detail = client.run(run).await?;
    let run = Run::new(&detail, client.steps(run).await?);
    Ok(Ended { detail, run })
}
