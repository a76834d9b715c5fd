//! Makes verdicts of what rules answer, and reasons of what they say.
//!
//! `allow` has to be true where a package has it. `deny` and `violation` have to be empty; what stands
//! in them is the reason. A rule that answers something else than its kind denies as well.

use maestro_schemas::verdict::Reason;
use serde_json::Value;

/// A verdict names no more reasons.
pub const REASONS_MAX: usize = 32;
/// A reason is no longer, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// The rules of a package that decide.
pub(crate) const ALLOW: &str = "allow";
pub(crate) const DENIALS: [&str; 2] = ["deny", "violation"];

/// One of the bodies of `allow`: where it stands, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// As `routing.rego:5`.
    pub place: String,
    /// Its conditions, joined by `and`.
    pub conditions: String,
}

/// A reason with a message of bounded length.
pub(crate) fn reason(rule: &str, message: impl AsRef<str>) -> Reason {
    let message = message.as_ref();
    let message = match message.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    };
    Reason { rule: rule.to_owned(), message }
}

/// What `allow` says against it; `value` is nothing where the rule is undefined.
pub(crate) fn of_allow(rule: &str, value: Option<&Value>, clauses: &[Clause]) -> Vec<Reason> {
    if value == Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let places = clauses.iter().map(|clause| clause.place.as_str()).collect::<Vec<_>>().join(", ");
    let ways = clauses
        .iter()
        .filter(|clause| !clause.conditions.is_empty())
        .map(|clause| format!("({})", clause.conditions))
        .collect::<Vec<_>>();
    let found = match value {
        None => "not defined".to_owned(),
        Some(value) => value.to_string(),
    };
    let message = match ways.as_slice() {
        [] => format!("it is {found}, and no text of {places} makes it true"),
        ways => format!("it is {found}; {places} ask for {}", ways.join(" or ")),
    };
    vec![reason(rule, message)]
}

/// What `deny` or `violation` says against it.
pub(crate) fn of_denial(rule: &str, value: Option<&Value>) -> Vec<Reason> {
    let mut reasons: Vec<_> = match value {
        None | Some(Value::Bool(false)) => Vec::new(),
        Some(Value::Bool(true)) => vec![reason(rule, "it is true, and says nothing more")],
        Some(Value::Array(said)) => said.iter().map(|said| reason(rule, words(said))).collect(),
        Some(Value::Object(said)) => {
            let said = said.iter().filter(|(_, holds)| **holds != Value::Bool(false));
            said.map(|(said, _)| reason(rule, said)).collect()
        }
        Some(other) => {
            let message = format!("it is {other}, which is no set of reasons; so it denies");
            vec![reason(rule, message)]
        }
    };
    if reasons.len() > REASONS_MAX {
        let more = reasons.len() - REASONS_MAX + 1;
        reasons.truncate(REASONS_MAX - 1);
        reasons.push(reason(rule, format!("and {more} more reasons")));
    }
    reasons
}

/// A reason is a text, or an object with one.
fn words(said: &Value) -> String {
    let named = |key| said.get(key).and_then(Value::as_str);
    match said.as_str().or_else(|| named("message")).or_else(|| named("msg")) {
        Some(text) => text.to_owned(),
        None => said.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: Value) -> Vec<String> {
        of_denial("data.a.deny", Some(&value)).into_iter().map(|reason| reason.message).collect()
    }

    #[test]
    fn reasons_are_texts_or_objects_with_a_message() {
        assert_eq!(said(json!(["a", {"message": "b"}, {"msg": "c"}, 4])), ["a", "b", "c", "4"]);
        assert_eq!(said(json!({"a": true, "b": false})), ["a"]);
        assert!(said(json!([])).is_empty() && said(json!(false)).is_empty());
        assert!(of_denial("data.a.deny", None).is_empty());
    }

    #[test]
    fn what_is_of_the_wrong_kind_denies() {
        assert_eq!(said(json!(0)).len(), 1);
        assert_eq!(said(json!("no")).len(), 1);
        assert_eq!(said(json!(true)).len(), 1);
        assert_eq!(of_allow("data.a.allow", Some(&json!("true")), &[]).len(), 1);
        assert_eq!(of_allow("data.a.allow", None, &[]).len(), 1);
        assert!(of_allow("data.a.allow", Some(&json!(true)), &[]).is_empty());
    }

    #[test]
    fn reasons_are_bounded_in_number_and_length() {
        let many: Vec<_> = (0..100).map(|number| json!(format!("{number}"))).collect();
        let said_of_many = said(Value::Array(many));
        assert_eq!(said_of_many.len(), REASONS_MAX);
        assert_eq!(said_of_many.last().unwrap(), "and 69 more reasons");
        let long = said(json!(["é".repeat(1000)]));
        assert_eq!(long.first().unwrap().chars().count(), REASON_CHARS_MAX + 1);
    }
}
