//! What is read of a request's messages, and what is left of them.

use std::borrow::Cow;

use maestro_router::tags::{self, Settings};
use maestro_schemas::route::RouteRequest;
use serde_json::Value;

/// The request with the tags of its messages, and their length in place of them.
pub(super) fn without_text(mut request: RouteRequest) -> RouteRequest {
    let text = request.messages.iter().flat_map(texts).collect::<Vec<_>>().join("\n");
    let found = tags::tags(&text, &Settings::default());
    for tag in found.tags {
        let name = serde_json::to_value(tag).ok();
        if let Some(name) = name.as_ref().and_then(Value::as_str)
            && !request.tags.iter().any(|other| other == name)
        {
            request.tags.push(name.to_owned());
        }
    }
    request.prompt_chars = Some(request.chars());
    request.messages.clear();
    request
}

/// Every text of a message: of its content, of parts of it, of functions' arguments. The name of a field
/// stands before its value, and numbers are texts too.
fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::String(text) => vec![Cow::Borrowed(text)],
        Value::Number(number) => vec![Cow::Owned(number.to_string())],
        Value::Array(parts) => parts.iter().flat_map(texts).collect(),
        Value::Object(fields) => {
            let named = |(name, value)| std::iter::once(Cow::Borrowed(name)).chain(texts(value));
            fields.iter().map(|(name, value)| (name.as_str(), value)).flat_map(named).collect()
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_fields_and_numbers_are_looked_at_too() {
        let tagged = |message: Value| {
            let messages = vec![message];
            without_text(RouteRequest { messages, ..RouteRequest::default() }).tags
        };
        assert_eq!(tagged(json!({"role": "user", "DE89 3704 0044 0532 0130 00": "his"})), ["pii"]);
        assert_eq!(
            tagged(json!({"content": [{"card_number": 4_111_111_111_111_111_u64}]})),
            ["pii"]
        );
        assert!(tagged(json!({"role": "user", "content": "Greet."})).is_empty());
    }

    #[test]
    fn of_messages_only_their_length_and_tags_are_left() {
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": "IBAN: DE89 3704 0044 0532 0130 00"}]}]);
        let messages = messages.as_array().unwrap().clone();
        let request = without_text(RouteRequest { messages, ..RouteRequest::default() });
        assert_eq!(request.tags, ["pii"]);
        assert_eq!((request.messages.len(), request.prompt_chars), (0, Some(33)));
    }
}
