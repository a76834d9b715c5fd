//! `secrets:` of a step: which variable gets which secret.

use std::collections::BTreeMap;

use maestro_schemas::pipeline::Secret;
use maestro_schemas::secret::{SecretRef, SecretUse, USES_MAX};

use super::node::{Faults, SiteOf};
use crate::pipeline::{Code, Fault, Position};
use crate::plan::check;

/// The secrets of a step. No name is an expression: what a step may read is seen before it runs.
pub(super) fn secrets(
    site: &SiteOf<'_>,
    env: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> BTreeMap<String, SecretUse> {
    let declared = &site.draft.site.step.secrets;
    if declared.len() > USES_MAX {
        let fault = Fault::new(Code::InvalidValue, site.at("secrets"), "the step has many secrets");
        let found = format!("{} secrets", declared.len());
        faults.0.push(fault.found(found).expected(format!("at most {USES_MAX}")));
        return BTreeMap::new();
    }
    let mut secrets = BTreeMap::new();
    for (variable, secret) in declared {
        let path = site.draft.site.path.join("secrets").join(variable);
        let at = site.frame.source.at(&path);
        match check_variable(variable, env, at).and_then(|()| read(secret, at)) {
            Ok(secret) => {
                secrets.insert(variable.clone(), secret);
            }
            Err(fault) => faults.0.push(fault),
        }
    }
    secrets
}

fn check_variable(
    variable: &str,
    env: &BTreeMap<String, String>,
    at: Position,
) -> Result<(), Fault> {
    let fault = |message: &str| Fault::new(Code::InvalidValue, at, message).found(variable);
    if !check::is_variable(variable) {
        return Err(fault("this is no name of a variable").expected("letters, digits and _"));
    }
    if variable.starts_with(check::RESERVED) {
        return Err(fault("this variable is Maestro's own").expected("another name"));
    }
    if env.contains_key(variable) {
        return Err(fault("`env` has this variable too").hint("keep it in one of the two"));
    }
    Ok(())
}

fn read(secret: &Secret, at: Position) -> Result<SecretUse, Fault> {
    let (text, file) = match secret {
        Secret::Name(name) => (name, false),
        Secret::Settings(settings) => (&settings.secret, settings.file),
    };
    let secret: SecretRef = text.parse().map_err(|_| {
        Fault::new(Code::InvalidValue, at, "this names no secret")
            .found(text)
            .expected("a name as npm-token, or a name and a version as npm-token@3")
            .hint("a name holds a-z, 0-9, - and _; the value is given with `maestro secrets set`")
    })?;
    Ok(SecretUse { secret, file })
}
