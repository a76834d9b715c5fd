//! LiteLLM's own configuration, made from ours.
//!
//! `maestro router render` prints it, and local mode starts the proxy with it. Our `router:` and
//! `policies:` are never in it: the proxy passes over the one, and takes the other for its own.
//!
//! What must stay true: the same configuration gives the same text, and the proxy's own retries and
//! cooldown stay out of the way of ours: a call that failed is decided anew, not repeated blindly.

use crate::config::file::Open;
use crate::config::{Config, Deployment};

mod tree;

use self::tree::Node;

/// The callback in `deploy/router/maestro_hook.py` by which the proxy asks Maestro.
const HOOK: &str = "maestro_hook.instance";
/// The one by which it only tells what calls cost.
const BOOKS: &str = "maestro_hook.books";
/// LiteLLM's name of a server that speaks OpenAI's API.
const VLLM: (&str, &str) = ("vllm/", "hosted_vllm/");
/// The key that the proxy is started with offline: no provider ever sees it.
const OFFLINE_KEY: &str = "sk-offline";
/// The kinds of error that the proxy would repeat.
const RETRIES: [&str; 6] = [
    "AuthenticationErrorRetries",
    "BadRequestErrorRetries",
    "ContentPolicyViolationErrorRetries",
    "InternalServerErrorRetries",
    "RateLimitErrorRetries",
    "TimeoutErrorRetries",
];

/// What the proxy is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Every model answers with a text that says that it is none, and no key is needed.
    pub offline: bool,
    /// Who calls.
    pub callers: Callers,
}

/// Who calls the proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Callers {
    /// Anybody: it asks the router about each call.
    #[default]
    Anyone,
    /// Workers, who have asked the router before: it neither asks nor tries a model that the router did
    /// not name, and tells what calls cost.
    Workers,
    /// The same, where proxy and workers end together, so that nobody is left to be told of.
    WorkersOfItsOwn,
}

/// The text of LiteLLM's configuration.
pub fn render(config: &Config, options: Options) -> String {
    let models = config.deployments.iter().map(|one| model(one, options));
    let mut root = vec![
        ("model_list".to_owned(), Node::List(models.collect())),
        ("litellm_settings".to_owned(), settings(options)),
        ("router_settings".to_owned(), router(config, options)),
    ];
    if !config.general_settings.is_empty() {
        root.push(("general_settings".to_owned(), open(&config.general_settings)));
    }
    format!(
        "# Made by `maestro router render` from the configuration {}. Do not edit.\n{}",
        config.digest.short(),
        Node::Map(root).text_of()
    )
}

fn model(deployment: &Deployment, options: Options) -> Node {
    Node::map([
        ("model_name", Node::text(&deployment.model)),
        ("litellm_params", params(deployment, options)),
        ("model_info", info(deployment)),
    ])
}

fn params(deployment: &Deployment, options: Options) -> Node {
    let params = &deployment.params;
    let vllm = params.model.strip_prefix(VLLM.0);
    let named = vllm.map_or_else(|| params.model.clone(), |name| format!("{}{name}", VLLM.1));
    let base = api_base(deployment);
    let mut node = vec![("model".to_owned(), Node::text(&named))];
    if let Some(base) = base {
        node.push(("api_base".to_owned(), Node::text(&base)));
    }
    let hidden = |key: &str| options.offline && (key == "api_key" || key == "mock_response");
    for (key, value) in params.rest.iter().filter(|(key, _)| !hidden(key)) {
        node.push((key.clone(), Node::json(value)));
    }
    if options.offline {
        let answer = format!(
            "[offline] This is no answer of {}: the proxy runs without models.",
            deployment.model
        );
        node.push(("api_key".to_owned(), Node::text(OFFLINE_KEY)));
        node.push(("mock_response".to_owned(), Node::text(&answer)));
    }
    Node::Map(node)
}

/// A deployment's address as it is rendered: a server of one's own without one has it in a variable, since
/// the proxy would know none.
pub fn api_base(deployment: &Deployment) -> Option<String> {
    let params = &deployment.params;
    params.api_base.clone().or_else(|| {
        let is_own = params.model.starts_with(VLLM.0);
        is_own.then(|| format!("os.environ/{}_API_BASE", variable(&deployment.model)))
    })
}

/// A name as part of an environment variable's: `ig-local-70b` is `IG_LOCAL_70B`.
fn variable(name: &str) -> String {
    let letter =
        |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

fn info(deployment: &Deployment) -> Node {
    let info = &deployment.info;
    let mut node = vec![("id".to_owned(), Node::text(&deployment.id))];
    if let Some(price) = &deployment.price {
        node.push(("input_cost_per_token".to_owned(), Node::number(price.input_usd)));
        node.push(("output_cost_per_token".to_owned(), Node::number(price.output_usd)));
    }
    let limits = [
        ("max_input_tokens", info.max_input_tokens.or(deployment.context_tokens)),
        ("max_output_tokens", deployment.output_tokens_max),
    ];
    for (key, tokens) in limits {
        if let Some(tokens) = tokens {
            node.push((key.to_owned(), Node::whole(tokens)));
        }
    }
    node.extend(info.rest.iter().map(|(key, value)| (key.clone(), Node::json(value))));
    Node::Map(node)
}

fn settings(options: Options) -> Node {
    let hooks = match options.callers {
        Callers::Anyone => vec![Node::text(HOOK)],
        Callers::Workers => vec![Node::text(BOOKS)],
        Callers::WorkersOfItsOwn => Vec::new(),
    };
    Node::map([
        ("callbacks", Node::List(hooks)),
        ("include_cost_in_streaming_usage", Node::truth(true)),
        ("num_retries", Node::whole(0)),
        ("telemetry", Node::truth(false)),
    ])
}

fn router(config: &Config, options: Options) -> Node {
    let chains = config.fallbacks.iter().filter(|_| options.callers == Callers::Anyone);
    let chains = chains.map(|(model, chain)| {
        let models = chain.iter().map(|one| Node::text(one)).collect();
        Node::Map(vec![(model.clone(), Node::List(models))])
    });
    Node::map([
        ("routing_strategy", Node::text("simple-shuffle")),
        ("fallbacks", Node::List(chains.collect())),
        ("num_retries", Node::whole(0)),
        ("retry_policy", Node::map(RETRIES.map(|kind| (kind, Node::whole(0))))),
        ("disable_cooldowns", Node::truth(true)),
        ("enable_pre_call_checks", Node::truth(true)),
    ])
}

fn open(settings: &Open) -> Node {
    Node::Map(settings.iter().map(|(key, value)| (key.clone(), Node::json(value))).collect())
}

/// The first line, from 1, in which a file differs from what is rendered, with both lines; nothing
/// where they are the same.
pub fn difference(file: &str, rendered: &str) -> Option<(usize, String, String)> {
    let (mut one, mut other) = (file.lines(), rendered.lines());
    for number in 1.. {
        match (one.next(), other.next()) {
            (None, None) => break,
            (found, made) if found == made => {}
            (found, made) => {
                let line = |line: Option<&str>| line.unwrap_or_default().to_owned();
                return Some((number, line(found), line(made)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    const SPECIFIED: &str = include_str!("../../../deploy/router/litellm.yaml");

    fn specified(options: Options) -> String {
        render(&Config::read(SPECIFIED, "litellm.yaml").unwrap(), options)
    }

    #[test]
    fn what_ships_is_rendered_as_the_proxy_takes_it() {
        let text = specified(Options::default());
        for line in [
            "- model_name: gpt-4o\n",
            "    model: hosted_vllm/Meta-Llama-3.1-70B-Instruct\n",
            "    api_base: os.environ/IG_LOCAL_70B_API_BASE\n",
            "    input_cost_per_token: 0.0000025\n",
            "  callbacks:\n  - maestro_hook.instance\n",
            "  fallbacks:\n  - gpt-4o:\n    - sonnet-3.7\n    - ig-local-70b\n",
            "  routing_strategy: simple-shuffle\n",
            "    RateLimitErrorRetries: 0\n",
            "  disable_cooldowns: true\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        for never in ["\nrouter:", "\npolicies:", "mock_response", " vllm/"] {
            assert!(!text.contains(never), "{never}");
        }
        assert_eq!(text, specified(Options::default()));
        assert!(yaml::parse(&text).is_ok());
    }

    #[test]
    fn offline_no_key_is_needed_and_every_answer_says_that_it_is_none() {
        let text = specified(Options { offline: true, ..Options::default() });
        assert_eq!(text.matches("    api_key: sk-offline\n").count(), 3);
        assert_eq!(text.matches("    mock_response: \"[offline] ").count(), 3);
    }

    #[test]
    fn offline_a_key_of_the_configuration_is_not_handed_on() {
        let text = "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: sk-own, \
                    timeout: 5}}]\ngeneral_settings: {master_key: os.environ/KEY}\n";
        let config = Config::read(text, "r.yaml").unwrap();
        let offline = render(&config, Options { offline: true, ..Options::default() });
        assert!(!offline.contains("sk-own") && offline.contains("    timeout: 5\n"), "{offline}");
        let online = render(&config, Options::default());
        assert!(online.contains("    api_key: sk-own\n"));
        assert!(online.contains("general_settings:\n  master_key: os.environ/KEY\n"));
    }

    #[test]
    fn a_difference_is_told_by_its_first_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let found = Some((2, "b".to_owned(), "c".to_owned()));
        assert_eq!(difference("a\nb\n", "a\nc\n"), found);
        assert_eq!(difference("a\n", "a\nb\n"), Some((2, String::new(), "b".to_owned())));
    }
}
