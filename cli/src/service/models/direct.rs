//! Which deployments of the router's configuration a worker calls straight, past the gateway.
//!
//! Those that run on own servers, have an address, and need nothing that the gateway does: the server
//! speaks OpenAI's protocol itself, and the configuration adds no parameters to its calls. Their price is
//! the configuration's both ways, so a straight call never costs more and saves the hop.

use std::path::Path;

use maestro_llm::direct::{Deployments, Direct};
use maestro_router::config::{Config, Deployment};
use maestro_router::render;

use super::address;
use super::hosts::Variable;
use crate::error::Error;

/// How a value that is not in the file is named.
const OF_ENVIRONMENT: &str = "os.environ/";
/// Providers whose servers speak OpenAI's protocol below an address that ends so.
const SPEAKERS: [&str; 4] = ["vllm", "hosted_vllm", "openai", "openai_like"];
/// Ollama's providers: it speaks that protocol too, below any address.
const OLLAMAS: [&str; 2] = ["ollama", "ollama_chat"];
const BASE: &str = "/v1";
const KEY: &str = "api_key";

/// The deployments of a file that are called straight.
pub fn read(file: &Path, variable: Variable<'_>) -> Result<Deployments, Error> {
    Ok(deployments(&super::router(file)?, variable))
}

/// The deployments of a configuration that are called straight. Of the other own ones the log says why not.
pub fn deployments(config: &Config, variable: Variable<'_>) -> Deployments {
    let mut straight = Deployments::new();
    for deployment in config.deployments.iter().filter(|one| one.self_hosted) {
        let id = &deployment.id;
        match translated(deployment, variable) {
            Ok(direct) => {
                tracing::info!(deployment = %id, url = %direct.url, "called straight where the router decides for it");
                straight.insert(id.clone(), direct);
            }
            Err(why) => {
                tracing::info!(deployment = %id, %why, "called through the gateway");
            }
        }
    }
    straight
}

/// A deployment as a worker calls it, or in words what it needs the gateway for.
fn translated(deployment: &Deployment, variable: Variable<'_>) -> Result<Direct, String> {
    let params = &deployment.params;
    if let Some(added) = params.rest.keys().find(|key| *key != KEY) {
        return Err(format!("the gateway adds or heeds its {added}"));
    }
    let (provider, model) = params.model.split_once('/').ok_or("its model names no provider")?;
    let base = render::api_base(deployment).ok_or("it has no api_base")?;
    let base = valued(&base, variable)?;
    let base = address::server(&base).ok_or("its api_base is no address of a server")?;
    let url = match (SPEAKERS.contains(&provider), base.strip_suffix(BASE)) {
        (true, Some(url)) => url.to_owned(),
        (true, None) => return Err(format!("its api_base does not end in {BASE}")),
        (false, url) if OLLAMAS.contains(&provider) => url.unwrap_or(&base).to_owned(),
        _ => return Err(format!("{provider} does not speak OpenAI's protocol itself")),
    };
    Ok(Direct {
        url,
        key: key(deployment, variable)?,
        model: model.to_owned(),
        usd_per_token: deployment.price.as_ref().map(|price| (price.input_usd, price.output_usd)),
        output_tokens_max: deployment.output_tokens_max,
    })
}

fn key(deployment: &Deployment, variable: Variable<'_>) -> Result<Option<String>, String> {
    match deployment.params.rest.get(KEY) {
        None => Ok(None),
        Some(value) => match value.as_str().filter(|text| text.starts_with(OF_ENVIRONMENT)) {
            Some(text) => valued(text, variable).map(Some),
            None => Err("its key stands in the file and not in the environment".to_owned()),
        },
    }
}

/// A value, or that of the variable that it names.
fn valued(text: &str, variable: Variable<'_>) -> Result<String, String> {
    match text.strip_prefix(OF_ENVIRONMENT) {
        Some(name) => variable(name).ok_or_else(|| format!("the variable {name} is not set")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let pairs = [("KEY", "sk-own"), ("OWN_API_BASE", "http://gpu-9:8000/v1")];
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn one(params: &str) -> Result<Direct, String> {
        let text = format!(
            "model_list:\n- model_name: own\n  litellm_params: {{{params}}}\n  model_info: {{id: at-own, input_cost_per_token: 1e-7, output_cost_per_token: 2e-7}}\n  maestro: {{self_hosted: true}}\n"
        );
        let config = Config::read(&text, "r.yaml").unwrap();
        translated(config.deployments.first().unwrap(), &variable)
    }

    #[test]
    fn own_servers_that_speak_openais_protocol_are_called_straight() {
        let expected = Direct {
            url: "http://gpu-1:8000".into(),
            key: Some("sk-own".into()),
            model: "org/Llama-70B".into(),
            usd_per_token: Some((1e-7, 2e-7)),
            output_tokens_max: None,
        };
        for provider in SPEAKERS {
            let params = format!(
                "model: {provider}/org/Llama-70B, api_base: 'http://gpu-1:8000/v1', api_key: os.environ/KEY"
            );
            assert_eq!(one(&params), Ok(expected.clone()), "{provider}");
        }
        let url = |params: &str| one(params).map(|direct| direct.url);
        let base = "http://gpu-2:11434".to_owned();
        assert_eq!(url("model: ollama/x, api_base: 'http://gpu-2:11434'"), Ok(base.clone()));
        assert_eq!(url("model: ollama_chat/x, api_base: 'http://gpu-2:11434/v1/'"), Ok(base));
        assert_eq!(url("model: vllm/x"), Ok("http://gpu-9:8000".to_owned()), "as it is rendered");
    }

    #[test]
    fn what_needs_the_gateway_goes_through_it_and_the_reason_is_told() {
        let why = [
            ("model: openai/x", "no api_base"),
            ("model: vllm/x, api_base: 'http://gpu-1/openai'", "does not end in /v1"),
            ("model: bedrock/x, api_base: 'http://gpu-1/v1'", "bedrock does not speak"),
            ("model: vllm/x, api_base: 'http://a:b@gpu-1/v1'", "no address"),
            ("model: vllm/x, api_base: os.environ/NOBODY", "NOBODY is not set"),
            ("model: vllm/x, api_base: 'http://g/v1', rpm: 5", "its rpm"),
            ("model: vllm/x, api_base: 'http://g/v1', api_key: sk-literal", "stands in the file"),
            ("model: vllm/x, api_base: 'http://g/v1', api_key: os.environ/NOBODY", "is not set"),
        ];
        for (params, words) in why {
            let found = one(params).unwrap_err();
            assert!(found.contains(words) && !found.contains("sk-literal"), "{params}: {found}");
        }
    }

    #[test]
    fn what_is_not_self_hosted_is_never_called_straight() {
        let text = "model_list:\n- model_name: a\n  litellm_params: {model: openai/x, api_base: 'http://g/v1'}\n";
        let config = Config::read(text, "r.yaml").unwrap();
        assert!(deployments(&config, &variable).is_empty());
    }
}
