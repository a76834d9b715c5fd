//! The services of a node: as many as there may be, with commands and names that can be used.

use std::collections::BTreeSet;

use maestro_schemas::plan::Node;
use maestro_schemas::service::{
    PORTS_MAX, READY_MS_MAX, Ready, SERVICES_MAX, Service, ServiceCommand, is_name, variables,
};

use super::{Checked, RESERVED, TEXT_BYTES_MAX, WITH_BYTES_MAX, is_variable, require};

pub(super) fn check(node: &Node) -> Checked {
    let services = &node.beside.services;
    require(services.len() <= SERVICES_MAX, || {
        format!("{} services are too many; the most is {SERVICES_MAX}", services.len())
    })?;
    let mut taken: BTreeSet<String> = node.env.keys().chain(node.secrets.keys()).cloned().collect();
    for (name, service) in services {
        require(is_name(name) && is_usable(service), || {
            "a service has no usable name, command, ports or variables".into()
        })?;
        for (variable, _) in variables(name, &service.ports) {
            require(!variable.starts_with(RESERVED) && taken.insert(variable), || {
                format!("a variable of its service {name:?} has another meaning too")
            })?;
        }
    }
    let bytes = serde_json::to_vec(services).map_or(usize::MAX, |text| text.len());
    require(bytes <= WITH_BYTES_MAX, || {
        format!("its services take up more than {WITH_BYTES_MAX} bytes")
    })
}

fn is_usable(service: &Service) -> bool {
    let ports: BTreeSet<&String> = service.ports.iter().collect();
    let ready = match &service.ready {
        Ready::Ports => true,
        Ready::Http(path) => is_http_path(path) && !ports.is_empty(),
        Ready::Command(command) => is_command(command),
    };
    let mut variables = service.env.iter();
    ready
        && is_command(&service.command)
        && ports.len() == service.ports.len()
        && ports.len() <= PORTS_MAX
        && ports.iter().all(|port| is_name(port))
        && variables.all(|(name, value)| {
            is_variable(name) && !name.starts_with(RESERVED) && !value.contains('\0')
        })
        && (1..=READY_MS_MAX).contains(&service.ready_ms)
}

/// Whether a command names a program.
pub fn is_command(command: &ServiceCommand) -> bool {
    match command {
        ServiceCommand::Lines(lines) => !lines.trim().is_empty() && !lines.contains('\0'),
        ServiceCommand::Words(words) => {
            words.first().is_some_and(|program| !program.is_empty())
                && !words.iter().any(|word| word.contains('\0'))
        }
    }
}

/// Whether a text can be asked for by HTTP as it stands.
pub fn is_http_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= TEXT_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}
