//! The routes as an OpenAPI 3.1 document; written to `schemas/openapi/maestro.json` and checked in.

use maestro_schemas::api::problem::Problem;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::MEDIA_TYPE;
use super::route::{Access, Body, Route};

const SCHEMAS: &str = "/components/schemas";

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in super::routes() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Maestro", "version": "1" },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "What went wrong, as RFC 9457 has it.",
                    "content": { MEDIA_TYPE: { "schema": problem } },
                },
            },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "description": access(route.access),
        "responses": {
            route.status.to_string(): { "description": "Done." },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        put(&mut operation, "parameters", Value::Array(parameters));
    }
    if let Some(content) = content(route.request, generator) {
        put(&mut operation, "requestBody", json!({ "required": true, "content": content }));
    }
    let answer = operation.pointer_mut(&format!("/responses/{}", route.status));
    if let (Some(answer), Some(content)) = (answer, content(route.response, generator)) {
        put(answer, "content", content);
    }
    if route.access != Access::Public {
        put(&mut operation, "security", json!([{ "token": [] }]));
    }
    operation
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Json(schema) => Some(json!({ "application/json": { "schema": schema(generator) } })),
        Body::Bytes(media_type) => Some(json!({ media_type: {} })),
    }
}

fn access(access: Access) -> String {
    match access {
        Access::Public => "Needs no token.".to_owned(),
        Access::Token => "Needs a token.".to_owned(),
        Access::Somewhere(role) => format!("Needs the role {} in some project.", role.as_str()),
        Access::Everywhere(role) => format!("Needs the role {} in every project.", role.as_str()),
        Access::InProject(role) => format!("Needs the role {} in the project.", role.as_str()),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let words = route.path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let in_path = words.map(|name| {
        // What stands for all the rest of a path begins with a star.
        let name = name.trim_start_matches('*');
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let others = route.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": parameter.place, "description": parameter.summary,
            "schema": { "type": "string" },
        })
    });
    in_path.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let references =
            text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
            count += 1;
        }
        assert!(count > 20);
    }

    #[test]
    fn the_document_is_the_same_every_time() {
        assert_eq!(document(), document());
    }
}
