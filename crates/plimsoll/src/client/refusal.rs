//! What a refusal of the server says on the command line: one sentence, what to do
//! next, and the request under which the server's log knows it.

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::output::{Exit, Failure};

/// A refusal as a failure of the command.
pub(super) async fn told(answer: Response) -> Failure {
    let status = answer.status();
    let bytes = answer.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(problem) if problem["code"].is_string() => of_problem(status, problem),
        _ => Failure::new(exit_of(status), format!("the server answers {status}"))
            .next("this is no answer of Plimsoll; is something else at this address?"),
    }
}

fn of_problem(status: StatusCode, problem: Value) -> Failure {
    let text = |member: &str| problem[member].as_str().unwrap_or_default();
    let mut sentence = text("detail").trim_end_matches('.').to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let part = |member: &str| error[member].as_str().unwrap_or_default();
        let line = format!("{}: {}", part("pointer"), part("detail"));
        if part("detail") == text("detail") {
            sentence = line;
        } else {
            sentence.push_str("; ");
            sentence.push_str(&line);
        }
    }
    let sentence = format!(
        "{sentence} ({}, request {})",
        text("code"),
        text("request_id")
    );
    let next = next_of(status, text("code"));
    Failure::new(exit_of(status), sentence)
        .next(next)
        .problem(problem)
}

fn next_of(status: StatusCode, code: &str) -> String {
    match status.as_u16() {
        401 => "set PLIMSOLL_API_KEY to a key of this server; on its machine \
                `plimsoll key create --name cli --scope write` prints one"
            .to_owned(),
        403 => "use a key that is allowed to; `plimsoll key create --scope` makes one".to_owned(),
        404 => "the `list` commands show what this key may see".to_owned(),
        429 | 503 => "try again later".to_owned(),
        _ => format!("docs/ERRORS.md and /problems/{code} of the server say more"),
    }
}

/// The exit code of a status (sysexits.h).
fn exit_of(status: StatusCode) -> Exit {
    match status.as_u16() {
        401 | 403 => Exit::NoPermission,
        408 | 429 | 504 => Exit::TemporaryFailure,
        500 => Exit::Software,
        300..=399 | 501..=599 => Exit::Unavailable,
        _ => Exit::Data,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_becomes_one_sentence_with_its_fields_and_request() {
        let problem = json!({
            "code": "invalid-request", "detail": "2 fields are not acceptable", "request_id": "req_1",
            "errors": [
                {"pointer": "/a", "detail": "expected a number"},
                {"pointer": "/b", "detail": "is required"},
            ],
        });
        let failure = of_problem(StatusCode::UNPROCESSABLE_ENTITY, problem);
        assert_eq!(
            failure.to_string(),
            "2 fields are not acceptable; /a: expected a number; /b: is required \
             (invalid-request, request req_1)"
        );
    }

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        for (status, exit) in [
            (400, Exit::Data),
            (401, Exit::NoPermission),
            (404, Exit::Data),
            (429, Exit::TemporaryFailure),
            (302, Exit::Unavailable),
            (500, Exit::Software),
            (503, Exit::Unavailable),
        ] {
            assert_eq!(exit_of(StatusCode::from_u16(status).unwrap()), exit);
        }
    }
}
