//! The order of things: the story of the build, and that of the crash.

use std::path::Path;
use std::pin::pin;

use futures::future::{Either, select};

use super::accident::Kind;
use super::act::curtain::{self, Bystanders};
use super::act::{again, build, evidence, failure, plan, review};
use super::facts::Facts;
use super::fetch;
use super::fleet::Fleet;
use super::place::Place;
use super::reviewer::Reviewer;
use super::voice::Voice;
use crate::error::Error;

/// A story that can be told, and the system that has to be ended when it is broken off.
#[derive(Debug)]
pub struct Story {
    voice: Voice,
    fleet: Option<Fleet>,
    place: Option<Place>,
}

impl Story {
    /// Nothing has begun yet.
    pub fn new(voice: Voice) -> Self {
        Self { voice, fleet: None, place: None }
    }

    /// Tells of a build in which a worker is killed, of the same with one file changed, and of a
    /// failure.
    pub async fn tell(&mut self, root: &Path) -> Result<Facts, Error> {
        let voice = self.voice;
        voice.say("Maestro reviews and builds a project that nobody here wrote, loses a worker, and goes on.");
        let before = self.set_up(root).await?;
        let mut facts = Facts::default();
        let (place, fleet) = self.parts()?;
        voice.act("1 of 8  the plan: what runs, and why");
        let stored = plan::tell(place, fleet, &voice).await?;
        voice.act("2 of 8  a review, a real build, and a worker that dies in it");
        let (ended, report) = build::tell(&stored, Kind::Worker, fleet, &voice).await?;
        if let Some(report) = &report {
            voice.act("3 of 8  what became of the dead worker's step");
            voice.say(&retold(report, fleet));
        }
        facts.accident = report;
        voice.act("4 of 8  the end: work, time, artifacts");
        facts.review = review::verdict(&ended, fleet).await?;
        facts.build = Some(build::tell_end(&ended, place, fleet, &voice).await?);
        voice.act("5 of 8  again, with one file changed");
        facts.again = Some(again::tell(place, fleet, &voice).await?);
        voice.act("6 of 8  a run that fails on purpose");
        let failed = failure::tell(place, fleet, &voice).await?;
        let retry = format!("runs rerun {} --failed --local", failed.0);
        voice.say(&format!("  retry from there: maestro {retry}"));
        facts.failed = Some(failed);
        voice.act("7 of 8  what a stranger can verify");
        facts.verified = Some(evidence::tell(ended.run.id, place, fleet, &voice).await?);
        voice.act("8 of 8  the curtain, and what to try next");
        facts.left_running = self.curtain(&before).await?;
        self.try_next(["verify --dir ../out/evidence", "logs last --failed --local", &retry]);
        Ok(facts)
    }

    /// Tells of a build in which the coordinator and the bus are killed.
    pub async fn tell_of_the_crash(&mut self, root: &Path) -> Result<Facts, Error> {
        let voice = self.voice;
        voice.say(
            "Maestro builds a project, loses its coordinator and its bus in mid-run, and goes on.",
        );
        let before = self.set_up(root).await?;
        let mut facts = Facts::default();
        let (place, fleet) = self.parts()?;
        voice.act("1 of 4  the plan: what runs, and why");
        let stored = plan::tell(place, fleet, &voice).await?;
        voice.act("2 of 4  a review, a build, and the heart of the system dies in it");
        let (ended, report) = build::tell(&stored, Kind::Heart, fleet, &voice).await?;
        facts.accident = report;
        voice.act("3 of 4  the end: nothing was lost");
        facts.review = review::verdict(&ended, fleet).await?;
        facts.build = Some(build::tell_end(&ended, place, fleet, &voice).await?);
        voice.act("4 of 4  the curtain, and what to try next");
        facts.left_running = self.curtain(&before).await?;
        self.try_next([
            "runs show last --local",
            "runs list --local",
            "artifacts list last --local",
        ]);
        Ok(facts)
    }

    /// Ends what still runs, when the story is over or was broken off.
    pub async fn end(&mut self) -> Result<(), Error> {
        match self.fleet.take() {
            Some(fleet) => fleet.stop().await,
            None => Ok(()),
        }
    }

    /// The directory, the project, and the whole system on it.
    async fn set_up(&mut self, root: &Path) -> Result<Bystanders, Error> {
        let place = self.voice.while_waiting("laying the example out", Place::begin(root)).await?;
        let before = Bystanders::of(&place);
        let reviewer = self.start(&place).await?;
        if let Some(fleet) = self.fleet.as_mut() {
            review::introduce(reviewer, fleet, &place, &self.voice).await?;
        }
        self.place = Some(place);
        Ok(before)
    }

    /// Fetches the project and starts the system; the model gateway, which takes longest, starts
    /// meanwhile.
    async fn start(&mut self, place: &Place) -> Result<Result<Reviewer, String>, Error> {
        let voice = self.voice;
        let system = pin!(async {
            fetch::fetch(place, &voice).await?;
            let what = "starting nats-server, Postgres, a coordinator, 3 workers";
            voice.while_waiting(what, Fleet::start(place)).await
        });
        match select(system, pin!(Reviewer::start(place))).await {
            Either::Left((fleet, reviewer)) => {
                self.fleet = Some(fleet?);
                Ok(voice.while_waiting("starting LiteLLM's proxy, for the review", reviewer).await)
            }
            Either::Right((reviewer, system)) => {
                self.fleet = Some(system.await?);
                Ok(reviewer)
            }
        }
    }

    fn parts(&mut self) -> Result<(&Place, &mut Fleet), Error> {
        let missing = || Error::NotFound { what: "the system".to_owned(), hint: None };
        Ok((self.place.as_ref().ok_or_else(missing)?, self.fleet.as_mut().ok_or_else(missing)?))
    }

    async fn curtain(&mut self, before: &Bystanders) -> Result<usize, Error> {
        match (self.fleet.take(), &self.place) {
            (Some(fleet), Some(place)) => curtain::fall(place, fleet, before, &self.voice).await,
            _ => Ok(0),
        }
    }

    fn try_next(&self, commands: [&str; 3]) {
        if let Some(place) = &self.place {
            curtain::try_next(place, commands, &self.voice);
        }
    }
}

/// What the live view told in passing, once more in peace.
fn retold(report: &super::accident::Report, fleet: &Fleet) -> String {
    let after = report.pause_ms.map(crate::view::duration::spoken).unwrap_or_default();
    let elsewhere = report.elsewhere.clone().unwrap_or_default();
    format!(
        "  {} was killed with -9 while it had {} in hand\n  {after} later {elsewhere} began it again; \
         the other {} workers did not notice, and no step was recorded twice",
        report.worker,
        report.step,
        fleet.workers()
    )
}
