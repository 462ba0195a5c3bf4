//! Headers of many operations, which no single route names: `Idempotency-Key` of
//! what may be sent twice, `If-Match` and `ETag` of what is changed on a condition.

use axum::http::Method;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{HeaderBuilder, ObjectBuilder, PathItem, Paths, RefOr, Response};

use super::problem_responses;
use crate::once;
use crate::problem::Kind;

const PRECONDITION_FAILED: &str = "412";

/// Adds them to all operations that have them.
pub(super) fn add(paths: &mut Paths) {
    for (path, item) in &mut paths.paths {
        if let Some(post) = &mut item.post
            && once::applies_to(&Method::POST, path)
        {
            may_be_sent_twice(post);
        }
        add_condition(item);
    }
}

fn may_be_sent_twice(operation: &mut Operation) {
    let text = "1 to 255 visible ASCII characters: sent again with the same key, the request is not \
                done again and gets the same answer, for 24 hours";
    add_parameter(operation, header("Idempotency-Key", text));
    let problems = [
        Kind::IdempotencyInProgress,
        Kind::IdempotencyAnswerLost,
        Kind::IdempotencyKeyReused,
    ];
    for (status, problem) in problem_responses(&[&problems]) {
        let RefOr::T(problem) = problem else { continue };
        let known = operation.responses.responses.entry(status);
        known
            .and_modify(|known| {
                if let RefOr::T(known) = known {
                    known.description = format!("{}, {}", known.description, problem.description);
                }
            })
            .or_insert(RefOr::T(problem));
    }
}

/// What answers 412 takes a condition; what shows or changes the same thing names its state.
fn add_condition(item: &mut PathItem) {
    let PathItem {
        get,
        put,
        post,
        patch,
        delete,
        ..
    } = item;
    let mut has_state = false;
    let is_conditional = |operation: &&mut Operation| {
        let responses = &operation.responses.responses;
        responses.contains_key(PRECONDITION_FAILED)
    };
    for operation in [post, delete].into_iter().flatten().filter(is_conditional) {
        add_if_match(operation);
    }
    for operation in [put, patch].into_iter().flatten().filter(is_conditional) {
        add_if_match(operation);
        add_tag(operation);
        has_state = true;
    }
    if has_state && let Some(get) = get {
        add_tag(get);
    }
}

fn add_if_match(operation: &mut Operation) {
    let text =
        "The `ETag` of what is changed, as it was seen: if it is another one now, nothing is done";
    add_parameter(operation, header("If-Match", text));
}

fn add_tag(operation: &mut Operation) {
    let text = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some("The state of what is shown, for `If-Match`"))
        .build();
    if let Some(RefOr::T(Response { headers, .. })) = operation.responses.responses.get_mut("200") {
        headers.insert("ETag".to_owned(), RefOr::T(text));
    }
}

fn add_parameter(operation: &mut Operation, parameter: Parameter) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::T(parameter));
}

fn header(name: &str, text: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
