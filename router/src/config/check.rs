//! What no type says of a configuration: names that exist, and numbers in their range. It makes a
//! [`Config`] of a [`File`], or tells all that is wrong at once.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::digest::Digest;

use super::fault::{Code, FAULTS_MAX, Fault};
use super::file::{File, Model};
use super::price::{Price, listed};
use super::yaml::Node;
use super::{Config, Deployment, weights};
use crate::objective::Objective;

/// The most deployments.
pub const DEPLOYMENTS_MAX: usize = 256;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// So many hexadecimal digits of a digest tell deployments of one name apart.
const ID_DIGITS: usize = 8;
/// What stands for own servers before a model's `/`.
const OWN: [&str; 5] = ["vllm", "hosted_vllm", "ollama", "ollama_chat", "openai_like"];

/// Checks a file and makes the configuration of it.
pub(super) fn config(file: File, root: &Node, digest: Digest) -> Result<Config, Vec<Fault>> {
    let mut checker = Checker { root, faults: Vec::new() };
    checker.models(&file.model_list);
    let deployments = deployments(&file.model_list);
    checker.ids(&deployments);
    checker.router(&file, &deployments);
    checker.tags(&file, &deployments);
    let Some(first) = deployments.first().filter(|_| checker.faults.is_empty()) else {
        checker.faults.truncate(FAULTS_MAX);
        checker.faults.sort_by_key(|fault| fault.at);
        return Err(checker.faults);
    };
    let order = match file.router.objectives.is_empty() {
        true => Objective::ALL.to_vec(),
        false => file.router.objectives,
    };
    let chains = file.router.fallbacks.into_iter().map(|one| (one.primary, one.on_error));
    let tags = file.policies.content_tags.into_iter();
    Ok(Config {
        default_model: file.router.default_model.unwrap_or_else(|| first.model.clone()),
        groups: file.router.groups,
        fallbacks: chains.collect(),
        content_tags: tags
            .map(|(tag, models)| (tag.to_lowercase(), models.into_iter().collect()))
            .collect(),
        weights: weights(&order),
        modes: file.router.modes,
        breaker: file.router.breaker,
        otel_exporter: file.telemetry.otel_exporter,
        general_settings: file.general_settings,
        digest,
        deployments,
    })
}

fn deployments(models: &[Model]) -> Vec<Deployment> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    models.iter().map(|model| deployment(model, &mut seen)).collect()
}

fn deployment(model: &Model, seen: &mut BTreeMap<String, usize>) -> Deployment {
    let (params, info, own) = (&model.litellm_params, &model.model_info, &model.maestro);
    let prefix = params.model.split_once('/').map(|(prefix, _)| prefix);
    let provider = own.provider.as_deref().or(prefix).unwrap_or_default().to_owned();
    let list = listed(&params.model);
    let price = match (info.input_cost_per_token, info.output_cost_per_token) {
        (Some(input_usd), Some(output_usd)) => {
            Some(Price { input_usd, output_usd, basis: "configured".to_owned() })
        }
        _ => list.map(Price::of_list),
    };
    let listed_context = list.map(|list| list.context_tokens);
    Deployment {
        id: info.id.clone().unwrap_or_else(|| made_id(model, seen)),
        model: model.model_name.clone(),
        endpoint: match &params.api_base {
            Some(base) => format!("{provider}@{base}"),
            None => provider.clone(),
        },
        self_hosted: own
            .self_hosted
            .unwrap_or_else(|| prefix.is_some_and(|prefix| OWN.contains(&prefix))),
        provider,
        jurisdiction: own.jurisdiction.as_ref().map(|place| place.to_lowercase()),
        zdr: own.zdr,
        max_concurrency: own.max_concurrency,
        context_tokens: own.context_tokens.or(info.max_input_tokens).or(listed_context),
        output_tokens_max: info.max_output_tokens.or(list.map(|list| list.output_tokens_max)),
        quality: own.quality.clone(),
        price,
        params: params.clone(),
        info: info.clone(),
    }
}

/// An id from what the deployment is, so that it stays where the file is put in another order.
fn made_id(model: &Model, seen: &mut BTreeMap<String, usize>) -> String {
    let base = model.litellm_params.api_base.as_deref().unwrap_or_default();
    let what = format!("{}\n{}\n{base}", model.model_name, model.litellm_params.model);
    let count = seen.entry(what.clone()).or_default();
    *count += 1;
    let what = if *count > 1 { format!("{what}\n{count}") } else { what };
    let digits: String = Digest::of(what.as_bytes()).to_hex().chars().take(ID_DIGITS).collect();
    format!("{}-{digits}", model.model_name)
}

struct Checker<'a> {
    root: &'a Node,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn add(&mut self, code: Code, path: &[&str], message: impl Into<String>) -> Option<&mut Fault> {
        self.faults.push(Fault::new(code, self.root.place(path), message));
        self.faults.last_mut()
    }

    fn invalid(&mut self, path: &[&str], message: &str, expected: impl Into<String>) {
        let fault = Fault::new(Code::InvalidValue, self.root.place(path), message);
        self.faults.push(fault.expected(expected));
    }

    /// Tells a name that no model has.
    fn model_exists(&mut self, path: &[&str], name: &str, known: &BTreeSet<&str>) {
        if !known.contains(name) {
            let fault =
                Fault::new(Code::UnknownName, self.root.place(path), "no model has this name");
            self.faults.push(fault.among(name, known.iter().copied()));
        }
    }

    fn models(&mut self, models: &[Model]) {
        if models.is_empty() || models.len() > DEPLOYMENTS_MAX {
            let expected = format!("1 to {DEPLOYMENTS_MAX} of them");
            self.invalid(&["model_list"], "the list of models is empty or too long", expected);
        }
        for (index, model) in models.iter().enumerate() {
            self.model(&index.to_string(), model);
        }
    }

    fn model(&mut self, index: &str, model: &Model) {
        let at = |key: &'static str| ["model_list", index, key];
        if model.model_name.is_empty() || model.model_name.len() > NAME_BYTES_MAX {
            let expected = format!("1 to {NAME_BYTES_MAX} bytes");
            self.invalid(&at("model_name"), "the name is empty or too long", expected);
        }
        let named = &model.litellm_params.model;
        if !named.contains('/') && model.maestro.provider.is_none() {
            let path = ["model_list", index, "litellm_params", "model"];
            self.invalid(
                &path,
                "who runs the model is not said",
                "provider/model, as openai/gpt-4o",
            );
        }
        let info = &model.model_info;
        let costs = [info.input_cost_per_token, info.output_cost_per_token];
        if costs.iter().flatten().count() == 1 {
            let message = "of the two prices of a token one is missing";
            if let Some(fault) = self.add(Code::MissingKey, &at("model_info"), message) {
                fault.expected = Some("input_cost_per_token and output_cost_per_token".to_owned());
            }
        }
        if costs.iter().flatten().any(|cost| !(0.0..=1.0).contains(cost)) {
            let message = "a price is out of its range";
            self.invalid(&at("model_info"), message, "US dollars per token, 0 to 1");
        }
        for (topic, quality) in &model.maestro.quality {
            if !(0.0..=1.0).contains(quality) {
                let path = ["model_list", index, "maestro", "quality", topic];
                self.invalid(&path, "a quality is out of its range", "a share, 0 to 1");
            }
        }
    }

    fn ids(&mut self, deployments: &[Deployment]) {
        let names: BTreeSet<&str> = deployments.iter().map(|one| one.model.as_str()).collect();
        let mut seen = BTreeSet::new();
        for (index, deployment) in deployments.iter().enumerate() {
            let id = deployment.id.as_str();
            if !seen.insert(id) || names.contains(id) || id.is_empty() || id.len() > NAME_BYTES_MAX
            {
                let path = ["model_list", &index.to_string(), "model_info", "id"];
                let message = format!("the id {id:?} is not one of its own");
                if let Some(fault) = self.add(Code::Doubled, &path, message) {
                    fault.expected = Some("an id that no other deployment or model has".to_owned());
                }
            }
        }
    }

    fn router(&mut self, file: &File, deployments: &[Deployment]) {
        let known: BTreeSet<&str> = deployments.iter().map(|one| one.model.as_str()).collect();
        for (index, chain) in file.router.fallbacks.iter().enumerate() {
            let index = index.to_string();
            let at = ["router", "fallbacks", &index];
            self.model_exists(&[&at[..], &["primary"]].concat(), &chain.primary, &known);
            for (place, model) in chain.on_error.iter().enumerate() {
                let place = place.to_string();
                let path = [&at[..], &["on_error", &place]].concat();
                self.model_exists(&path, model, &known);
            }
            let earlier = file.router.fallbacks.iter().filter(|one| one.primary == chain.primary);
            if earlier.count() > 1 {
                self.add(Code::Doubled, &at, format!("{:?} has two chains", chain.primary));
            }
        }
        if let Some(model) = &file.router.default_model {
            self.model_exists(&["router", "default_model"], model, &known);
        }
        self.groups(file, deployments, &known);
        if let Some(expected) = file.router.breaker.fault() {
            self.invalid(&["router", "breaker"], "a number is out of its range", expected);
        }
    }

    fn groups(&mut self, file: &File, deployments: &[Deployment], known: &BTreeSet<&str>) {
        for (group, models) in &file.router.groups {
            let at = ["router", "groups", group.as_str()];
            if known.contains(group.as_str()) || deployments.iter().any(|one| one.id == *group) {
                self.add(Code::Doubled, &at, format!("{group:?} is a model's name already"));
            }
            if models.is_empty() {
                self.invalid(&at, "the group is empty", "names of models");
            }
            for (place, model) in models.iter().enumerate() {
                let place = place.to_string();
                let path = [&at[..], &[place.as_str()]].concat();
                self.model_exists(&path, model, known);
            }
        }
    }

    fn tags(&mut self, file: &File, deployments: &[Deployment]) {
        let known: BTreeSet<&str> = deployments.iter().map(|one| one.model.as_str()).collect();
        for (tag, models) in &file.policies.content_tags {
            for (place, model) in models.iter().enumerate() {
                let path = ["policies", "content_tags", tag, &place.to_string()];
                self.model_exists(&path, model, &known);
            }
        }
    }
}
