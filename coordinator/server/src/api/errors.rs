//! `/docs/errors/{code}`: the page that a problem's `type` names, as it stands in the repository.

use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;

use super::Api;
use super::extract::of_path;
use super::problem::{Kind, Refusal};
use super::route::{Access, Route};

/// A page's media type.
const MEDIA_TYPE: &str = "text/markdown; charset=utf-8";

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        /// Codes with their pages.
        pub const PAGES: &[(&str, &str)] =
            &[$(($code, include_str!(concat!("../../../../docs/errors/", $code, ".md"))),)*];
    };
}

pages! {
    "MAE-1001", "MAE-1002", "MAE-1003", "MAE-1004", "MAE-1005", "MAE-1006", "MAE-1007", "MAE-1008",
    "MAE-1010", "MAE-1011", "MAE-1012", "MAE-1013", "MAE-1014", "MAE-1020", "MAE-1021", "MAE-1022",
    "MAE-1023", "MAE-1030", "MAE-1031", "MAE-1032", "MAE-1040", "MAE-1041", "MAE-1050", "MAE-2001",
    "MAE-2002", "MAE-2003", "MAE-2004", "MAE-2005", "MAE-2006", "MAE-2007", "MAE-2008", "MAE-2009",
    "MAE-2010", "MAE-2011", "MAE-2012", "MAE-2013", "MAE-2014", "MAE-2015", "MAE-2016", "MAE-3001",
    "MAE-3002", "MAE-3003", "MAE-3004", "MAE-3005", "MAE-3006", "MAE-3007", "MAE-4001", "MAE-4002",
    "MAE-4003", "MAE-4004", "MAE-4005", "MAE-4006", "MAE-4007", "MAE-4008", "MAE-4009", "MAE-4010",
    "MAE-4011", "MAE-4012", "MAE-4013", "MAE-5001", "MAE-5002", "MAE-5003", "MAE-5004", "MAE-5005",
    "MAE-5006", "MAE-5007", "MAE-6001", "MAE-6002", "MAE-7001", "MAE-7002", "MAE-7003", "MAE-7004",
    "MAE-7005", "MAE-7006", "MAE-7020", "MAE-7021", "MAE-7022", "MAE-7023", "MAE-7024", "MAE-7025",
    "MAE-7030", "MAE-7031", "MAE-7032", "MAE-7033", "MAE-7034", "MAE-7035", "MAE-7036", "MAE-7037",
    "MAE-7050", "MAE-7051", "MAE-7052", "MAE-7053", "MAE-7054", "MAE-7055", "MAE-7056", "MAE-7057",
    "MAE-7058", "MAE-7059", "MAE-7060", "MAE-7061", "MAE-7070", "MAE-7071", "MAE-7072", "MAE-7073",
    "MAE-7074", "MAE-7075", "MAE-7076", "MAE-7077", "MAE-7080", "MAE-7081", "MAE-7082", "MAE-7083",
    "MAE-7084", "MAE-7085", "MAE-7090", "MAE-7091", "MAE-7092", "MAE-7093", "MAE-7094", "MAE-7095",
    "MAE-7096", "MAE-7097", "MAE-7098", "MAE-7100", "MAE-7101", "MAE-7102", "MAE-7120", "MAE-7121",
    "MAE-7122", "MAE-7123", "MAE-7124", "MAE-7125", "MAE-7126",
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/docs/errors/{code}",
            Access::Public,
            "What a code means, and its remedy.",
            show,
        )
        .answers_bytes("text/markdown"),
    ]
}

/// The code of the path.
struct Code(String);

impl FromRequestParts<Api> for Code {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        of_path(parts, api, "code").await.map(Self)
    }
}

async fn show(State(_): State<Api>, Code(code): Code) -> Result<impl IntoResponse, Refusal> {
    let page = PAGES.iter().find(|(known, _)| *known == code);
    match page {
        Some((_, text)) => Ok(([(CONTENT_TYPE, MEDIA_TYPE)], *text)),
        None => Err(Refusal::new(Kind::NotFound, "there is no page of that code")),
    }
}
