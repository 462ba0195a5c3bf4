//! `openapi`: the description of the API, as the server gives it out.

use std::process::ExitCode;

use crate::output::Output;

pub(crate) fn run() -> ExitCode {
    Output::document(plimsoll_http::openapi_json());
    ExitCode::SUCCESS
}
