//! nats-server's configuration file, as JSON, which its parser reads too.
//!
//! The subjects that a user may use come from the caller: this file knows none.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

const MAX_PAYLOAD_BYTES: u64 = 1 << 20;
const MAX_MEMORY_STORE_BYTES: u64 = 256 << 20;
const MAX_CONNECTIONS: u32 = 4096;

/// A user of the server.
#[derive(Clone)]
pub struct User {
    /// Its name, as `worker`.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects that it may publish to.
    pub publish: Rule,
    /// Subjects that it may subscribe to.
    pub subscribe: Rule,
    /// Whether it may answer a request on the reply subject that came with it.
    pub responses: bool,
}

/// Which subjects, with wildcards of NATS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Every subject.
    #[default]
    All,
    /// Those in `allow` that are not in `deny`; an empty `allow` allows none.
    Only {
        /// Allowed.
        allow: Vec<String>,
        /// Taken away from what is allowed.
        deny: Vec<String>,
    },
}

/// What the file says, besides what is the same everywhere.
pub(super) struct Config<'a> {
    pub(super) name: &'a str,
    /// `None`: the server chooses a free one.
    pub(super) port: Option<u16>,
    pub(super) dir: &'a Path,
    pub(super) store: &'a Path,
    pub(super) users: &'a [User],
    pub(super) max_file_store_bytes: u64,
    pub(super) sync_interval: Option<&'a str>,
}

impl Config<'_> {
    /// The file's content.
    pub(super) fn render(&self) -> Value {
        let mut jetstream = json!({
            "store_dir": self.store,
            "max_file_store": self.max_file_store_bytes,
            "max_memory_store": MAX_MEMORY_STORE_BYTES,
        });
        if let (Some(interval), Some(fields)) = (self.sync_interval, jetstream.as_object_mut()) {
            fields.insert("sync_interval".to_owned(), json!(interval));
        }
        json!({
            "server_name": self.name,
            "host": "127.0.0.1",
            "port": self.port.map_or(-1, i32::from),
            "ports_file_dir": self.dir,
            "max_payload": MAX_PAYLOAD_BYTES,
            "max_connections": MAX_CONNECTIONS,
            "write_deadline": "10s",
            "ping_interval": "20s",
            "ping_max": 2,
            "jetstream": jetstream,
            "authorization": { "users": self.users.iter().map(user).collect::<Vec<_>>() },
        })
    }
}

fn user(user: &User) -> Value {
    let mut permissions = json!({});
    if let Some(fields) = permissions.as_object_mut() {
        let rules =
            [("publish", &user.permissions.publish), ("subscribe", &user.permissions.subscribe)];
        fields.extend(
            rules.into_iter().filter_map(|(key, rule)| Some((key.to_owned(), subjects(rule)?))),
        );
        if user.permissions.responses {
            fields.insert("allow_responses".to_owned(), json!(true));
        }
    }
    json!({ "user": user.name, "password": user.password, "permissions": permissions })
}

/// The server takes an empty list of allowed subjects for "all", so none is said as "deny all".
fn subjects(rule: &Rule) -> Option<Value> {
    match rule {
        Rule::All => None,
        Rule::Only { allow, .. } if allow.is_empty() => Some(json!({ "deny": [">"] })),
        Rule::Only { allow, deny } => Some(json!({ "allow": allow, "deny": deny })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_allows_nothing_denies_all() {
        let none = Rule::Only { allow: vec![], deny: vec![] };
        assert_eq!(subjects(&none), Some(json!({ "deny": [">"] })));
        assert_eq!(subjects(&Rule::All), None);
    }

    #[test]
    fn a_user_that_is_printed_shows_no_password() {
        let user = User {
            name: "a".into(),
            password: "geheim".into(),
            permissions: Permissions::default(),
        };
        assert!(!format!("{user:?}").contains("geheim"));
    }
}
