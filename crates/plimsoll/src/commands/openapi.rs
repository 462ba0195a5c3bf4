//! `openapi`: the description of the API, as the server gives it out.

use std::process::ExitCode;

use crate::output::Output;

pub(crate) fn run() -> ExitCode {
    let document = serde_json::to_string_pretty(&plimsoll_http::openapi());
    Output::document(document.expect("invariant: an OpenAPI document has text keys"));
    ExitCode::SUCCESS
}
