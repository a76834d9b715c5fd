//! `services:` of a step: servers beside its commands.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::pipeline;
use maestro_schemas::service::{
    self, PORT_NAME, PORTS_MAX, READY_MS, READY_MS_MAX, Ready, SERVICES_MAX, Service,
    ServiceCommand,
};

use super::node::{Builder, Faults, SiteOf};
use super::policy::duration;
use super::resolve::Spot;
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, Fault, Position};
use crate::plan::check;

impl Builder<'_> {
    /// The services of a step. Nothing of them waits for a run: what a run knows reaches them by the
    /// step's environment.
    pub(super) fn services(
        &self,
        site: &SiteOf<'_>,
        faults: &mut Faults,
    ) -> BTreeMap<String, Service> {
        let declared = &site.draft.site.step.services;
        if declared.len() > SERVICES_MAX {
            let fault = Fault::new(Code::InvalidValue, site.at("services"), "these are many");
            let found = format!("{} services", declared.len());
            faults.0.push(fault.found(found).expected(format!("at most {SERVICES_MAX}")));
            return BTreeMap::new();
        }
        let mut taken = variables_of(site);
        let mut services = BTreeMap::new();
        for (name, service) in declared {
            let path = site.draft.site.path.join("services").join(name);
            let place = Place { site, path, name };
            let made = self.service(&place, service);
            match made.and_then(|made| place.unclaimed(&made, &mut taken).map(|()| made)) {
                Ok(made) => {
                    services.insert(name.clone(), made);
                }
                Err(fault) => faults.0.push(fault),
            }
        }
        services
    }

    fn service(&self, place: &Place<'_>, from: &pipeline::Service) -> Result<Service, Fault> {
        if !service::is_name(place.name) {
            return Err(place.fault("", "this is no name of a service", place.name).expected(NAME));
        }
        let ports = from.ports.clone().unwrap_or_else(|| vec![PORT_NAME.to_owned()]);
        place.check_ports(&ports)?;
        let ready = from.ready.clone().unwrap_or_default();
        Ok(Service {
            command: self.command(place, "command", &from.command)?,
            env: self.variables(place, from)?,
            ready: self.ready(place, &ready, &ports)?,
            ready_ms: place.ready_ms(&ready)?,
            ports,
        })
    }

    fn command(
        &self,
        place: &Place<'_>,
        key: &str,
        command: &ServiceCommand,
    ) -> Result<ServiceCommand, Fault> {
        let text = |text: &String| self.known_text(place.spot(key), text);
        let made = match command {
            ServiceCommand::Lines(lines) => ServiceCommand::Lines(text(lines)?),
            ServiceCommand::Words(words) => {
                ServiceCommand::Words(words.iter().map(text).collect::<Result<_, _>>()?)
            }
        };
        match check::is_command(&made) {
            true => Ok(made),
            false => Err(place
                .fault(key, "this names no program", "nothing")
                .expected("lines for bash, or a list of a program and its arguments")),
        }
    }

    fn variables(
        &self,
        place: &Place<'_>,
        from: &pipeline::Service,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let one = |(name, value): (&String, &pipeline::Scalar)| {
            if !check::is_variable(name) || name.starts_with(check::RESERVED) {
                let fault = place.fault("env", "this is no name of a variable", name);
                return Err(fault.expected("letters, digits and _, not MAESTRO_ first"));
            }
            Ok((name.clone(), self.known_text(place.spot("env"), &value.to_string())?))
        };
        from.env.iter().map(one).collect()
    }

    fn ready(
        &self,
        place: &Place<'_>,
        ready: &pipeline::ServiceReady,
        ports: &[String],
    ) -> Result<Ready, Fault> {
        match (&ready.http, &ready.command) {
            (Some(_), Some(_)) => Err(place
                .fault("ready", "one thing shows that a service is ready", "http and command")
                .expected("one of the two")),
            (Some(path), None) if check::is_http_path(path) && !ports.is_empty() => {
                Ok(Ready::Http(path.clone()))
            }
            (Some(path), None) => Err(place
                .fault("ready", "this is nothing that a service can be asked for", path)
                .expected("a path as /health, of a service that has a port")),
            (None, Some(command)) => Ok(Ready::Command(self.command(place, "ready", command)?)),
            (None, None) => Ok(Ready::Ports),
        }
    }
}

const NAME: &str = "small letters, digits and -, a letter first, at most 32";

/// A service's place in its file.
struct Place<'a> {
    site: &'a SiteOf<'a>,
    path: Path,
    name: &'a str,
}

impl Place<'_> {
    /// Where a key of it stands; the service itself where the key is empty.
    fn at(&self, key: &str) -> Position {
        let path = if key.is_empty() { self.path.clone() } else { self.path.join(key) };
        self.site.frame.source.at(&path)
    }

    fn spot(&self, key: &str) -> Spot<'_> {
        Spot { at: self.at(key), ..self.site.spot("services", false) }
    }

    fn fault(&self, key: &str, what: &str, found: &str) -> Fault {
        Fault::new(Code::InvalidValue, self.at(key), what).found(found)
    }

    fn check_ports(&self, ports: &[String]) -> Result<(), Fault> {
        let wrong = ports.iter().find(|port| !service::is_name(port));
        let twice = || ports.iter().find(|port| ports.iter().filter(|it| it == port).count() > 1);
        if ports.len() > PORTS_MAX {
            let found = format!("{} ports", ports.len());
            let fault = self.fault("ports", "a service has not so many ports", &found);
            return Err(fault.expected(format!("at most {PORTS_MAX}")));
        }
        match wrong.or_else(twice) {
            None => Ok(()),
            Some(port) => Err(self
                .fault("ports", "these do not name ports", port)
                .expected(format!("names, each once: {NAME}"))
                .hint("its worker chooses the number, which the service finds in PORT")),
        }
    }

    fn ready_ms(&self, ready: &pipeline::ServiceReady) -> Result<u64, Fault> {
        let Some(timeout) = &ready.timeout else { return Ok(READY_MS) };
        match duration(timeout, self.at("ready"))? {
            millis @ 1..=READY_MS_MAX => Ok(millis),
            millis => Err(self
                .fault(
                    "ready",
                    "a service cannot take so long to be ready",
                    &format!("{millis} ms"),
                )
                .expected("1ms to 10m")),
        }
    }

    /// Whether the variables by which it is found are nobody else's.
    fn unclaimed(&self, made: &Service, taken: &mut BTreeSet<String>) -> Result<(), Fault> {
        for (variable, _) in service::variables(self.name, &made.ports) {
            if variable.starts_with(check::RESERVED) || !taken.insert(variable.clone()) {
                return Err(self
                    .fault("", "the variable by which this is found has another meaning", &variable)
                    .hint("give the service or its port another name"));
            }
        }
        Ok(())
    }
}

/// The variables that a step has without its services.
fn variables_of(site: &SiteOf<'_>) -> BTreeSet<String> {
    let env = site.draft.env.iter().flat_map(|layer| layer.value.keys());
    env.chain(site.draft.site.step.secrets.keys()).cloned().collect()
}
