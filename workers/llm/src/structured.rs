//! Answers that must fit a JSON Schema: whether one does, and what the model is told where not.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::error::Error;

/// The most faults that a model is told of.
const FAULTS_MAX: usize = 10;
/// The most bytes of a schema.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// A schema that answers must fit.
pub(crate) struct Shape {
    validator: Validator,
}

impl Shape {
    /// Reads a schema. References to other documents are refused: nothing is fetched.
    pub(crate) fn new(schema: &Value) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Parameters(format!("schema: {problem}"));
        let bytes = schema.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(wrong(format!("{bytes} bytes; the most is {SCHEMA_BYTES_MAX}")));
        }
        let validator =
            jsonschema::validator_for(schema).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { validator })
    }

    /// The answer as JSON that fits, or in words why it does not.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let value: Value = serde_json::from_str(unfenced(text))
            .map_err(|error| format!("it is no JSON: {error}"))?;
        let faults = self.validator.iter_errors(&value).take(FAULTS_MAX);
        let faults: Vec<String> = faults
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the whole" } else { &place };
                format!("{place}: {error}")
            })
            .collect();
        if faults.is_empty() { Ok(value) } else { Err(faults.join("; ")) }
    }
}

/// What follows an answer that does not fit, so that the model mends it.
pub(crate) fn correction(answer: &str, problem: &str) -> [Value; 2] {
    let request = format!(
        "Your answer does not fit the JSON Schema that was asked for: {problem}. Answer again, with JSON that fits it and nothing else."
    );
    [
        json!({ "role": "assistant", "content": answer }),
        json!({ "role": "user", "content": request }),
    ]
}

/// Models like to put JSON between fences.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else {
        return text;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_or_is_told_where_it_does_not() {
        let shape = Shape::new(&json!({
            "type": "object", "required": ["score"],
            "properties": { "score": { "type": "integer", "maximum": 10 } },
        }))
        .unwrap();
        assert_eq!(shape.read("```json\n{\"score\": 7}\n```").unwrap(), json!({ "score": 7 }));
        assert!(shape.read("seven").unwrap_err().contains("no JSON"));
        let problem = shape.read("{\"score\": 70}").unwrap_err();
        assert!(problem.starts_with("/score:"), "{problem}");
    }

    #[test]
    fn a_schema_that_is_none_is_the_authors_fault() {
        assert!(matches!(Shape::new(&json!({ "type": 7 })), Err(Error::Parameters(_))));
    }
}
