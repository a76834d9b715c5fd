//! Steps that carry personal data, in every place of a call that a provider is sent, and how each is to end.

use serde_json::{Value, json};

/// An account as people write it.
pub(crate) const IBAN: &str = "DE89 3704 0044 0532 0130 00";
/// `Pay to DE89 3704 0044 0532 0130 00, please, before the end of the month.`
const IN_BASE64: &str = "UGF5IHRvIERFODkgMzcwNCAwMDQ0IDA1MzIgMDEzMCAwMCwgcGxlYXNlLCBiZWZvcmUgdGhlIGVuZCBvZiB0aGUgbW9udGgu";
/// The account, as some writers of JSON have it.
const ESCAPED: &str = "\\u0044\\u0045\\u0038\\u0039 \\u0033\\u0037\\u0030\\u0034 0044 0532 0130 00";
/// A payment card's number.
const CARD: u64 = 4_111_111_111_111_111;
/// More than a question to the router holds, in bytes.
const LONG: usize = 600 << 10;
const VARIABLE: &str = "+++\n[variables.who]\ntype = \"any\"\n+++\nWrite to {{ who }}.";

/// How a step is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A provider within answers.
    Within,
    /// It is denied, with a reason.
    Denied,
    /// A provider within that fails was asked: another within answers where the router acts.
    Replaced,
    /// As it may: what counts is that nothing went out.
    Any,
}

/// A step that carries personal data.
pub(crate) struct Carrier {
    pub(crate) action: &'static str,
    pub(crate) with: Value,
    pub(crate) files: Vec<(&'static str, String)>,
    pub(crate) end: End,
}

/// What must be seen nowhere without: none of it has spaces or backslashes.
pub(crate) fn needles() -> Vec<String> {
    let needles =
        ["89370400440532013000", &IN_BASE64[20..60], "u0044u0045u0038u0039", "4111111111111111"];
    needles.map(str::to_owned).to_vec()
}

/// All of them.
pub(crate) fn carriers() -> Vec<Carrier> {
    [texts(), definitions(), prompts(), names(), vectors(), own_hosts()]
        .into_iter()
        .flatten()
        .collect()
}

fn carrier(action: &'static str, with: Value, end: End) -> Carrier {
    Carrier { action, with, files: Vec::new(), end }
}

fn generate(with: Value) -> Carrier {
    carrier("litellm.generate", with, End::Within)
}

fn texts() -> Vec<Carrier> {
    let chat = |messages: Value| {
        carrier("litellm.chat", json!({ "model": "best", "messages": messages }), End::Within)
    };
    let arguments = json!({ "account": IBAN }).to_string();
    let function = json!({ "name": "pay", "arguments": arguments });
    let parts = json!([{ "type": "text", "text": "Pay to" }, { "type": "text", "text": IBAN }]);
    let called = json!([{ "id": "c1", "type": "function", "function": function }]);
    vec![
        generate(json!({ "model": "best", "prompt": format!("Pay to {IBAN}.") })),
        generate(json!({ "model": "best", "prompt": format!("Read this: {IN_BASE64}") })),
        generate(json!({ "model": "best", "prompt": format!("{{\"iban\": \"{ESCAPED}\"}}") })),
        generate(
            json!({ "model": "best", "prompt": "Greet.", "system": format!("You serve {IBAN}.") }),
        ),
        generate(
            json!({ "model": "best", "prompt": "Greet.", "system": format!("You serve {IN_BASE64}.") }),
        ),
        chat(json!([{ "role": "user", "content": parts }])),
        chat(json!([
            { "role": "user", "content": "Pay." },
            { "role": "assistant", "content": null, "tool_calls": called },
            { "role": "tool", "tool_call_id": "c1", "content": "done" },
        ])),
        Carrier {
            end: End::Any,
            ..chat(json!([{ "role": "user", "content": "Pay.", "metadata": { IBAN: "his" } }]))
        },
        Carrier {
            end: End::Any,
            ..chat(
                json!([{ "role": "user", "content": "Pay.", "metadata": { "card_number": CARD } }]),
            )
        },
    ]
}

/// What a call brings beside its messages.
fn definitions() -> Vec<Carrier> {
    let tool = |parameters: Value, words: &str| {
        let function = json!({ "name": "pay", "description": words, "parameters": parameters });
        json!([{ "type": "function", "function": function }])
    };
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let of_account = object(json!({ "to": { "type": "string", "enum": [IBAN] } }));
    let of_card = object(json!({ "card_number": { "type": "integer", "default": CARD } }));
    let asked = |name: &str, value: Value| {
        let mut with = json!({ "model": "best", "prompt": "Greet." });
        with[name] = value;
        generate(with)
    };
    vec![
        asked("tools", tool(of_account.clone(), "Pays.")),
        asked("tools", tool(of_card, "Pays.")),
        asked("tools", tool(object(json!({})), &format!("Pays to {IBAN}."))),
        asked("tools", tool(object(json!({ IBAN: { "type": "string" } })), "Pays.")),
        asked("schema", of_account),
        asked("stop", json!([IBAN])),
        // What the provider without answers is personal data, and would be sent with the repair.
        asked("schema", object(json!({}))),
    ]
}

fn prompts() -> Vec<Carrier> {
    let of = |prompt: &'static str, text: &str, variables: Value, file: String| {
        let with = json!({ "model": "best", "prompt_template": prompt, "variables": variables });
        let path = if prompt == "long" { "prompts/long.md" } else { "prompts/letter.md" };
        Carrier { files: vec![(path, text.to_owned()), ("who.txt", file)], ..generate(with) }
    };
    let put_in = "Write to {{ file('who.txt') }}.";
    let long = format!("{} {IBAN}", "x ".repeat(LONG / 2));
    vec![
        of("letter", VARIABLE, json!({ "who": IBAN }), String::new()),
        of("letter", VARIABLE, json!({ "who": { "base64": IN_BASE64 } }), String::new()),
        of("letter", put_in, json!({}), IBAN.to_owned()),
        of("letter", put_in, json!({}), IN_BASE64.to_owned()),
        of("long", put_in, json!({}), long),
    ]
}

/// Whatever the step names.
fn names() -> Vec<Carrier> {
    let ask = |model: &str, end| {
        let prompt = format!("Pay to {IBAN}.");
        carrier("litellm.generate", json!({ "model": model, "prompt": prompt }), end)
    };
    let here = |model: &str, end| {
        // Nothing in its words, but its author says where it stays.
        let with =
            json!({ "model": model, "prompt": format!("Greet {model}."), "jurisdictions": ["eu"] });
        carrier("litellm.generate", with, end)
    };
    vec![
        ask("chat", End::Within),
        ask("chat", End::Within),
        ask("chat", End::Within),
        ask("chat-us", End::Denied),
        ask("own", End::Within),
        ask("own-eu", End::Within),
        ask("own-us", End::Denied),
        ask("lone", End::Denied),
        ask("lost", End::Denied),
        ask("failing", End::Replaced),
        here("chat", End::Within),
        here("chat", End::Within),
        here("best", End::Within),
        here("lost", End::Denied),
        here("failing", End::Replaced),
    ]
}

fn vectors() -> Vec<Carrier> {
    let embed = |model: &str, input: Value, end| {
        carrier("litellm.embed", json!({ "model": model, "input": input }), end)
    };
    let here = |model: &str, end| {
        let with = json!({ "model": model, "input": "nothing", "jurisdictions": ["eu"] });
        carrier("litellm.embed", with, end)
    };
    vec![
        embed("emb", json!(format!("Pay to {IBAN}.")), End::Within),
        embed("emb", json!(["nothing", IN_BASE64]), End::Within),
        embed("emb", json!(["nothing", ESCAPED]), End::Within),
        embed("emb-abroad", json!([IBAN]), End::Denied),
        here("emb", End::Within),
        here("emb-abroad", End::Denied),
    ]
}

fn own_hosts() -> Vec<Carrier> {
    let ask = |with: Value, end| carrier("ollama.generate", with, end);
    let schema = json!({ "type": "object", "properties": { "to": { "enum": [IBAN] } } });
    vec![
        ask(json!({ "model": "llama", "prompt": format!("Pay to {IBAN}.") }), End::Within),
        ask(json!({ "model": "llama", "prompt": "Greet.", "system": IN_BASE64 }), End::Within),
        ask(json!({ "models": ["llama-us", "llama"], "prompt": ESCAPED }), End::Within),
        ask(json!({ "model": "llama-us", "prompt": format!("Pay to {IBAN}.") }), End::Denied),
        ask(json!({ "model": "llama-us", "prompt": "Greet.", "schema": schema }), End::Denied),
        ask(json!({ "model": "llama-us", "prompt": "Greet.", "stop": [IBAN] }), End::Denied),
    ]
}
