//! The document: CycloneDX 1.6 as JSON.

use std::collections::BTreeSet;

use bytes::Bytes;
use maestro_schemas::digest::Digest;
use serde_json::{Map, Value, json};
use uuid::Builder;

use super::component::{Component, Kind, Scope};
use super::error::{Error, Place};
use super::graph::{Parts, Ref};
use super::hash::Hash;
use super::licence::Licence;
use super::subject::Subject;

/// Writes the document.
///
/// Its serial number is made of the digest of everything else in it.
pub(crate) fn write(subject: &Subject, parts: &Parts) -> Result<Bytes, Error> {
    let mut document = document(subject, parts);
    let digest = Digest::of_json(&document);
    let half = digest.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    let serial = Builder::from_custom_bytes(half).into_uuid();
    if let Some(object) = document.as_object_mut() {
        object.insert("serialNumber".into(), format!("urn:uuid:{serial}").into());
    }
    let unwritable = |error: serde_json::Error| {
        Error::malformed(&subject.name, Place::Whole, format!("cannot be written: {error}"))
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(unwritable)?;
    text.push('\n');
    Ok(text.into())
}

fn document(subject: &Subject, parts: &Parts) -> Value {
    let root = parts.root.as_ref().map_or_else(Ref::subject, |(reference, _)| reference.clone());
    let components: Vec<Value> =
        parts.components.iter().map(|(reference, one)| component(reference, one)).collect();
    let mut dependencies: Vec<Value> = Vec::with_capacity(parts.edges.len() + 1);
    if parts.root.is_none() {
        dependencies.push(dependency(&root, &parts.roots));
    }
    dependencies.extend(parts.edges.iter().map(|(from, to)| dependency(from, to)));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata(subject, parts, &root),
        "components": components,
        "dependencies": dependencies,
    })
}

fn metadata(subject: &Subject, parts: &Parts, root: &Ref) -> Value {
    let mut own = match &parts.root {
        Some((_, component)) => component.clone(),
        None => Component::local(&subject.name, subject.version.as_deref()),
    };
    own.kind = Kind::Application;
    if subject.is_named {
        own.name = subject.name.clone();
        own.version = subject.version.clone();
    }
    let mut own = component(root, &own);
    if let Some(object) = own.as_object_mut() {
        if subject.is_container {
            object.insert("type".into(), "container".into());
        }
        put(object, "components", made(subject));
    }
    let tool = json!({
        "type": "application",
        "name": "maestro",
        "version": env!("CARGO_PKG_VERSION"),
    });
    let mut metadata = Map::new();
    metadata.insert("component".into(), own);
    metadata.insert("tools".into(), json!({ "components": [tool] }));
    if let Some(seconds) = subject.made_at {
        metadata.insert("timestamp".into(), timestamp(seconds).into());
    }
    Value::Object(metadata)
}

fn made(subject: &Subject) -> Vec<Value> {
    let files: BTreeSet<_> = subject.made.iter().collect();
    let file = |(index, made): (usize, &&super::Made)| {
        json!({
            "type": "file",
            "bom-ref": format!("made:{index}:{}", made.name),
            "name": made.name,
            "hashes": [{ "alg": "SHA-256", "content": made.digest.to_hex() }],
        })
    };
    files.iter().enumerate().map(file).collect()
}

fn component(reference: &Ref, component: &Component) -> Value {
    let mut object = Map::new();
    let kind = match component.kind {
        Kind::Library => "library",
        Kind::Application => "application",
        Kind::OperatingSystem => "operating-system",
    };
    object.insert("type".into(), kind.into());
    object.insert("bom-ref".into(), reference.to_string().into());
    // The scope of an npm package is its group.
    match component.name.split_once('/') {
        Some((group, name)) if group.starts_with('@') => {
            put_text(&mut object, "group", group);
            put_text(&mut object, "name", name);
        }
        _ => put_text(&mut object, "name", &component.name),
    }
    if let Some(version) = &component.version {
        object.insert("version".into(), version.clone().into());
    }
    if let Some(purl) = &component.purl {
        object.insert("purl".into(), purl.to_string().into());
    }
    match component.scope {
        Scope::Required => {}
        Scope::Optional => put_text(&mut object, "scope", "optional"),
        Scope::Excluded => put_text(&mut object, "scope", "excluded"),
    }
    put(&mut object, "licenses", Licence::list_json(&component.licences));
    put(&mut object, "hashes", component.hashes.iter().map(Hash::to_json).collect());
    put(&mut object, "externalReferences", distributions(component));
    let properties = component.properties.iter();
    let properties = properties.map(|(name, value)| json!({ "name": name, "value": value }));
    put(&mut object, "properties", properties.collect());
    Value::Object(object)
}

fn distributions(component: &Component) -> Vec<Value> {
    let one = |url: &str, hashes: &[Hash]| {
        let mut object = Map::new();
        put_text(&mut object, "type", "distribution");
        put_text(&mut object, "url", url);
        put(&mut object, "hashes", hashes.iter().map(Hash::to_json).collect());
        Value::Object(object)
    };
    component.distributions.iter().map(|file| one(&file.url, &file.hashes)).collect()
}

fn dependency(from: &Ref, to: &BTreeSet<Ref>) -> Value {
    let needs: Vec<String> = to.iter().map(Ref::to_string).collect();
    if needs.is_empty() {
        return json!({ "ref": from.to_string() });
    }
    json!({ "ref": from.to_string(), "dependsOn": needs })
}

fn put(object: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.insert(key.into(), list.into());
    }
}

fn put_text(object: &mut Map<String, Value>, key: &str, text: &str) {
    object.insert(key.into(), text.into());
}

/// RFC 3339 in UTC, by Howard Hinnant's `civil_from_days`.
fn timestamp(seconds: u64) -> String {
    // The year 9999 is the last that has the form.
    let seconds = seconds.min(253_402_300_799);
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_a_time() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
