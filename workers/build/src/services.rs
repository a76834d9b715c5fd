//! Servers beside a step's commands: started before the first, which waits until they are ready, and
//! gone after the last.

mod ports;
mod ready;

use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use maestro_schemas::service::{self, Ready, ServiceCommand};
use tokio_util::sync::CancellationToken;

use crate::attempt::Sandboxes;
use crate::command::CommandLine;
use crate::environment::Variables;
use crate::error::Error;
use crate::process::{self, Channel, Process, Sink, Tail};
use crate::sandbox::Confinement;
use ports::Ports;

/// The services of one execution.
pub(crate) struct Services<'a> {
    sandboxes: &'a Sandboxes<'a>,
    all: Vec<Service<'a>>,
    /// Nobody else gets them as long as this is there.
    _ports: Ports,
}

/// A service with all that it is started with.
struct Service<'a> {
    name: &'a str,
    declared: &'a service::Service,
    line: CommandLine,
    variables: Variables,
    ports: Vec<u16>,
    confinement: Option<Confinement>,
    /// What its question runs in, where it is a command.
    asking: Option<Confinement>,
}

impl<'a> Services<'a> {
    /// Chooses ports and makes sandboxes. `variables` are the step's, to which those are added by which
    /// it finds its services.
    pub(crate) fn prepare(
        sandboxes: &'a Sandboxes<'a>,
        variables: &mut Variables,
    ) -> Result<Self, Error> {
        let declared = &sandboxes.execution.task.beside.services;
        let count = declared.values().map(|service| service.ports.len()).sum();
        let ports = Ports::take(count)?;
        let mut numbers = ports.numbers();
        let mut all: Vec<Service<'a>> = Vec::with_capacity(declared.len());
        for (name, declared) in declared {
            let own: Vec<u16> = numbers.by_ref().take(declared.ports.len()).collect();
            for (variable, port) in service::variables(name, &declared.ports) {
                let value = match port {
                    Some(index) => own.get(index).map(u16::to_string),
                    None => Some(service::ADDRESS.to_owned()),
                };
                variables.extend(value.map(|value| (variable, value)));
            }
            all.push(Service::prepare(sandboxes, name, declared, own)?);
        }
        for service in &mut all {
            service.inherit(variables);
        }
        Ok(Self { sandboxes, all, _ports: ports })
    }

    /// Carries `work` out with the services beside it, and ends them when it has ended. Where one ends
    /// before, `commands` is fired, which must end the work.
    pub(crate) async fn beside(
        &self,
        commands: &CancellationToken,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let stop = CancellationToken::new();
        let mut running: FuturesUnordered<_> =
            self.all.iter().map(|service| service.run(self.sandboxes, &stop)).collect();
        let mut work = std::pin::pin!(work);
        let mut fault = None;
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                Some(ended) = running.next() => {
                    commands.cancel();
                    fault.get_or_insert(ended);
                }
            }
        };
        stop.cancel();
        while let Some(ended) = running.next().await {
            // One that had ended before it was asked to was not there for all of the work.
            if !matches!(ended, Error::Stopped) {
                fault.get_or_insert(ended);
            }
        }
        match fault {
            // It was told to stop: why does not matter any more.
            Some(_) if self.sandboxes.execution.stop.is_cancelled() => done,
            Some(fault) => Err(fault),
            None => done,
        }
    }

    /// Waits until all are ready, each as long as it may take.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        let waiting = self.all.iter().map(|service| ready::wait(service, self.sandboxes));
        try_join_all(waiting).await.map(drop)
    }
}

impl<'a> Service<'a> {
    fn prepare(
        sandboxes: &Sandboxes<'_>,
        name: &'a str,
        declared: &'a service::Service,
        ports: Vec<u16>,
    ) -> Result<Self, Error> {
        let asks = matches!(declared.ready, Ready::Command(_));
        let asking = asks.then(|| sandboxes.make(&format!("ready-{name}"))).transpose()?;
        Ok(Self {
            name,
            declared,
            line: line(&declared.command),
            variables: Variables::new(),
            ports,
            confinement: sandboxes.make(&format!("service-{name}"))?,
            asking: asking.flatten(),
        })
    }

    /// Takes the step's variables over, beside its own.
    fn inherit(&mut self, variables: &Variables) {
        self.variables.clone_from(variables);
        let own = service::own_variables(&self.declared.ports);
        let ports = &self.ports;
        let own = own.into_iter().filter_map(|(name, index)| Some((name, ports.get(index)?)));
        self.variables.extend(own.map(|(name, port)| (name, port.to_string())));
        self.variables.extend(self.declared.env.clone());
    }

    /// Runs until it ends or is stopped; how.
    async fn run(&self, sandboxes: &Sandboxes<'_>, stop: &CancellationToken) -> Error {
        let (log, redactor) = (&sandboxes.execution.log, &sandboxes.execution.redactor);
        let ports: Vec<String> = self.ports.iter().map(|port| format!("; port {port}")).collect();
        log.line(&format!("service {}: {}{}", self.name, self.line, ports.concat())).await;
        let process = Process {
            line: &self.line,
            directory: &sandboxes.places.workspace,
            variables: &self.variables,
            confinement: self.confinement.as_ref(),
        };
        let mut tail = Tail::without_secrets(redactor);
        let channel = Channel::named(log, redactor, self.name);
        let mut sink = Sink { tail: &mut tail, log: Some(channel) };
        let ended = process::run(process, stop, &mut sink).await;
        let said = tail.text();
        let judged = ended.and_then(|ended| match &self.confinement {
            Some(confinement) => confinement.verdict(&self.line.program, ended, &said),
            None => Ok(ended),
        });
        match judged {
            Ok(ended) => Error::ServiceEnded {
                name: self.name.to_owned(),
                ended,
                taken: self
                    .ports
                    .iter()
                    .copied()
                    .find(|port| sandboxes.are_on_the_host() && !ports::is_free(*port)),
                tail: said,
            },
            Err(error) => error,
        }
    }
}

fn line(command: &ServiceCommand) -> CommandLine {
    match command {
        ServiceCommand::Lines(lines) => CommandLine::script(lines),
        ServiceCommand::Words(words) => {
            CommandLine::of(&words.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}
