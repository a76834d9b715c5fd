//! A route as data: what the router, the gate and the OpenAPI document are made from.

use std::time::Duration;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::Api;
use super::role::Role;

/// How long a request may take where nothing else is said.
pub const TIME_MAX: Duration = Duration::from_secs(30);
/// The largest body where nothing else is said, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Anybody, without a token. A short list: health, metrics and the pages of error codes.
    Public,
    /// Whoever has a token that lives.
    Token,
    /// Whoever has this role in some project.
    Somewhere(Role),
    /// Whoever has this role in the project that the path names.
    InProject(Role),
    /// Whoever has this role in every project.
    Everywhere(Role),
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What goes in or comes out.
#[derive(Clone, Copy)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON of a schema.
    Json(MakeSchema),
    /// Bytes of a media type.
    Bytes(&'static str),
}

/// A parameter in the query or a header.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// `query` or `header`.
    pub place: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// A route.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with placeholders in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What goes in.
    pub request: Body,
    /// What comes out.
    pub response: Body,
    /// What may stand in the query and headers.
    pub parameters: &'static [Parameter],
    /// The status of success.
    pub status: u16,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// How long it may take; absent for streams and bytes, whose reader or writer decides.
    pub time_max: Option<Duration>,
    pub(super) handler: MethodRouter<Api>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name<H, T>(
            path: &'static str,
            access: Access,
            summary: &'static str,
            handler: H,
        ) -> Self
        where
            H: Handler<T, Api>,
            T: 'static,
        {
            Self::new(Method::$method, path, (access, summary), on(MethodFilter::$method, handler))
        }
    )*};
}

impl Route {
    methods! {
        /// A route that reads.
        get = GET;
        /// A route that asks for something to be done.
        post = POST;
        /// A route that puts something where its path says.
        put = PUT;
        /// A route that takes away what its path names.
        delete = DELETE;
    }

    fn new(
        method: Method,
        path: &'static str,
        (access, summary): (Access, &'static str),
        handler: MethodRouter<Api>,
    ) -> Self {
        Self {
            method,
            path,
            access,
            summary,
            request: Body::None,
            response: Body::None,
            parameters: &[],
            status: 200,
            body_bytes_max: BODY_BYTES_MAX,
            time_max: Some(TIME_MAX),
            handler,
        }
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Body::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    pub(super) const fn takes_bytes(mut self, media_type: &'static str) -> Self {
        self.request = Body::Bytes(media_type);
        self
    }

    pub(super) fn answers<T: JsonSchema>(mut self) -> Self {
        self.response = Body::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    pub(super) const fn answers_bytes(mut self, media_type: &'static str) -> Self {
        self.response = Body::Bytes(media_type);
        self
    }

    pub(super) const fn with(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(super) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) const fn up_to(mut self, body_bytes_max: usize) -> Self {
        self.body_bytes_max = body_bytes_max;
        self
    }

    pub(super) const fn without_time_limit(mut self) -> Self {
        self.time_max = None;
        self
    }
}
