//! What bodies are read as, and which are refused with what.

use super::*;
use crate::column::Values;
use crate::schema::{DataType, Field, Schema};

mod properties;

fn tensor(name: &str, data_type: DataType, shape: &[Option<usize>]) -> Field {
    let mut field = Field::scalar(name, data_type);
    field.shape = shape.to_vec();
    field
}

fn people() -> Schema {
    Schema::packed(vec![
        Field::scalar("age", DataType::Float64),
        Field::scalar("city", DataType::String).nullable(),
        Field::scalar("income", DataType::Float64).nullable(),
        Field::scalar("id", DataType::Int64),
        Field::scalar("member", DataType::Bool),
    ])
    .unwrap()
}

fn numbers(count: usize, data_type: DataType) -> Schema {
    let fields = (0..count).map(|i| Field::scalar(format!("x{i}"), data_type));
    Schema::packed(fields.collect()).unwrap()
}

fn decode(body: &str, schema: &Schema) -> Result<Decoded, DecodeError> {
    predict_body(body.as_bytes(), schema, 100)
}

fn batch(body: &str, schema: &Schema) -> Batch {
    decode(body, schema)
        .unwrap_or_else(|error| panic!("{body}: {error:?}"))
        .batch
}

fn f64s(body: &str, schema: &Schema) -> Vec<f64> {
    batch(body, schema).f64_block(0).unwrap().to_vec()
}

/// `pointer code` of each error.
fn errors(body: &str, schema: &Schema) -> Vec<String> {
    match decode(body, schema) {
        Err(DecodeError::Invalid(errors)) => errors
            .iter()
            .map(|error| format!("{} {}", error.pointer, error.code))
            .collect(),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn every_form_of_rows_makes_the_same_batch() {
    let schema = people();
    let one = r#"{"age": 41, "city": "Genoa", "income": null, "id": 7, "member": true}"#;
    let list = r#"[41, "Genoa", null, 7, true]"#;
    let shuffled =
        r#"{"member": true, "id": 7, "income": null, "age": 4.1e1, "city": "Geno\u0061"}"#;
    let wanted = batch(&format!(r#"{{"inputs": {one}}}"#), &schema);
    assert_eq!(wanted.rows, 1);
    assert_eq!(
        wanted.columns[1].values,
        Values::Text(vec![Some("Genoa".into())])
    );
    let split = r#"{"columns": ["id", "age", "city", "income", "member"], "data": [[7, 41, "Genoa", null, true]]}"#;
    let split_late = r#"{"index": [0], "data": [[41, "Genoa", null, 7, true]], "columns": ["age", "city", "income", "id", "member"]}"#;
    for rows in [
        format!(r#"{{"instances": [{one}]}}"#),
        format!(r#"{{"data": [{shuffled}]}}"#),
        format!(r#"{{"input": [{list}]}}"#),
        format!(r#"{{"inputs": {split}}}"#),
        format!(r#"{{"inputs": {split_late}}}"#),
    ] {
        // NaN is not equal to itself, so the printed form is compared.
        assert_eq!(
            format!("{:?}", batch(&rows, &schema)),
            format!("{wanted:?}"),
            "{rows}"
        );
    }
}

#[test]
fn unnamed_features_have_a_second_name_and_take_a_plain_list() {
    let schema = numbers(3, DataType::Float64);
    for inputs in [
        "[[1, 2, 3]]",
        "[1, 2, 3]",
        r#"{"x0": 1, "x1": 2, "x2": 3}"#,
        r#"{"feature3": 3, "feature1": 1, "feature2": 2}"#,
        r#"[{"feature1": 1, "x1": 2, "feature3": 3}]"#,
    ] {
        assert_eq!(
            f64s(&format!(r#"{{"inputs": {inputs}}}"#), &schema),
            [1.0, 2.0, 3.0]
        );
    }
    for inputs in [
        r#"{"feature0": 1, "x1": 2, "x2": 3}"#,
        r#"{"feature01": 1, "x1": 2, "x2": 3}"#,
    ] {
        let found = errors(&format!(r#"{{"inputs": {inputs}}}"#), &schema);
        assert!(found[0].ends_with("unknown-field"), "{found:?}");
    }
}

#[test]
fn a_model_of_one_feature_takes_a_list_of_values() {
    let schema = numbers(1, DataType::Float64);
    assert_eq!(
        f64s(r#"{"inputs": [1, 2.5, -0]}"#, &schema),
        [1.0, 2.5, 0.0]
    );
    assert_eq!(
        f64s(r#"{"inputs": [[1], {"x0": 2}, 3]}"#, &schema),
        [1.0, 2.0, 3.0]
    );
}

#[test]
fn a_model_with_a_feature_called_columns_keeps_it() {
    let fields = ["columns", "rows"].map(|name| Field::scalar(name, DataType::Float64));
    let schema = Schema::packed(fields.to_vec()).unwrap();
    assert_eq!(
        f64s(r#"{"inputs": {"columns": 3, "rows": 4}}"#, &schema),
        [3.0, 4.0]
    );
}

#[test]
fn tensors_are_nested_or_flat_and_choose_open_dimensions() {
    let fixed =
        Schema::separate(vec![tensor("t", DataType::Float32, &[Some(2), Some(2)])]).unwrap();
    for inputs in [
        "[[[1, 2], [3, 4]]]",
        "[[1, 2, 3, 4]]",
        "[[[[1, 2], [3, 4]]]]",
        r#"{"t": [[1, 2], [3, 4]]}"#,
        r#"[{"t": [1, 2, 3, 4]}]"#,
    ] {
        let read = batch(&format!(r#"{{"inputs": {inputs}}}"#), &fixed);
        assert_eq!(
            read.columns[0].values.as_f32(),
            Some(&[1.0, 2.0, 3.0, 4.0][..]),
            "{inputs}"
        );
        assert_eq!((read.rows, read.columns[0].width), (1, 4));
        assert!(read.columns[0].shape.is_empty());
    }
    let open = Schema::separate(vec![tensor("t", DataType::Int64, &[None, Some(2)])]).unwrap();
    let read = batch(
        r#"{"inputs": [{"t": [[1, 2], [3, 4], [5, 6]]}, {"t": [1, 2, 3, 4, 5, 6]}]}"#,
        &open,
    );
    assert_eq!((read.rows, read.columns[0].width), (2, 6));
    assert_eq!(read.columns[0].shape, [3, 2]);
    for (rows, wanted) in [
        (
            r#"[{"t": [[1, 2]]}, {"t": [[1, 2], [3, 4]]}]"#,
            "/inputs/1/t wrong-length",
        ),
        (r#"{"t": [[1, 2], [3]]}"#, "/inputs/t wrong-length"),
        (r#"{"t": [[1, 2], 3]}"#, "/inputs/t wrong-length"),
        (r#"{"t": [1, 2, 3]}"#, "/inputs/t wrong-length"),
        (r#"{"t": [[1, 2, 3]]}"#, "/inputs/t wrong-length"),
        (r#"{"t": [[1, "2"]]}"#, "/inputs/t/0/1 wrong-type"),
        (r#"{"t": [[1, {}]]}"#, "/inputs/t/0/1 wrong-type"),
        (r#"{"t": 1}"#, "/inputs/t wrong-type"),
    ] {
        assert_eq!(
            errors(&format!(r#"{{"inputs": {rows}}}"#), &open),
            [wanted],
            "{rows}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn numbers_are_kept_exactly_or_refused() {
    for (field, literal, wanted) in [
        (DataType::Float64, "9007199254740992", "9007199254740992"),
        (DataType::Float64, "9007199254740993", "not-exact"),
        (DataType::Float64, "-9007199254740993", "not-exact"),
        (
            DataType::Float64,
            "18446744073709551616",
            "18446744073709552000",
        ),
        (DataType::Float64, "18446744073709551617", "not-exact"),
        (
            DataType::Float64,
            "100000000000000000000",
            "100000000000000000000",
        ),
        (DataType::Float64, "0.1", "0.1"),
        (DataType::Float64, "5e-324", "5e-324"),
        (
            DataType::Float64,
            "2.2250738585072011e-308",
            "2.225073858507201e-308",
        ),
        (DataType::Float64, "true", "wrong-type"),
        (DataType::Float64, "\"1\"", "wrong-type"),
        (DataType::Float64, "null", "null-not-allowed"),
        (DataType::Float64, "[1]", "wrong-type"),
        (DataType::Float64, "{}", "wrong-type"),
        (DataType::Float32, "0.1", "0.1"),
        (DataType::Float32, "16777217", "16777216"),
        (DataType::Float32, "3.5e38", "not-exact"),
        (
            DataType::Int64,
            "9223372036854775807",
            "9223372036854775807",
        ),
        (
            DataType::Int64,
            "-9223372036854775808",
            "-9223372036854775808",
        ),
        (DataType::Int64, "9223372036854775808", "not-exact"),
        (DataType::Int64, "3.0", "3"),
        (DataType::Int64, "-0", "0"),
        (DataType::Int64, "1e3", "1000"),
        (DataType::Int64, "3.5", "not-exact"),
        (DataType::Int64, "9007199254740991.0", "9007199254740991"),
        (DataType::Int64, "9007199254740993.0", "not-exact"),
        (DataType::Int64, "9007199254740994.0", "not-exact"),
        (DataType::Int64, "true", "wrong-type"),
        (DataType::Bool, "1", "wrong-type"),
        (DataType::Bool, "false", "false"),
        (DataType::Bool, "null", "null-not-allowed"),
        (DataType::String, "\"\\ud83d\\ude00\"", "\u{1f600}"),
        (DataType::String, "1", "wrong-type"),
        (DataType::String, "null", "null-not-allowed"),
    ] {
        let schema = Schema::packed(vec![Field::scalar("v", field)]).unwrap();
        let got = match decode(&format!(r#"{{"inputs": {{"v": {literal}}}}}"#), &schema) {
            Ok(decoded) => match &decoded.batch.columns[0].values {
                Values::Float32(v) => v[0].to_string(),
                Values::Float64(v) if v[0].abs() < 1e-300 => format!("{:e}", v[0]),
                Values::Float64(v) => v[0].to_string(),
                Values::Int64(v) => v[0].to_string(),
                Values::Bool(v) => v[0].to_string(),
                Values::Text(v) => v[0].clone().unwrap(),
            },
            Err(DecodeError::Invalid(errors)) => errors[0].code.to_string(),
            Err(other) => panic!("{literal}: {other}"),
        };
        assert_eq!(got, wanted, "{literal} into {field:?}");
    }
}

#[test]
fn what_is_no_json_is_malformed() {
    let deep = format!(r#"{{"inputs": {}1{}}}"#, "[".repeat(32), "]".repeat(32));
    let bomb = "[".repeat(10_000_000);
    let long = format!(r#"{{"inputs": ["{}"]}}"#, "x".repeat((1 << 20) + 1));
    let schema = people();
    for body in [
        "",
        "  \n",
        "{",
        r#"{"inputs""#,
        r#"{"inputs": [1, 2}"#,
        r#"{"inputs": [1, 2,]}"#,
        r#"{"inputs": [[1]],}"#,
        r#"{"inputs": [[1]]} x"#,
        r#"{"inputs": [[1]]} {}"#,
        "\u{feff}{\"inputs\": [[1]]}",
        "{\"inputs\": [[1]]}\0",
        "{\"inputs\": [[\"\0\"]]}",
        r#"{"inputs": [["\u0000"]]}"#,
        r#"{"inputs": [["\ud800"]]}"#,
        r#"{"inputs": [["\udc00"]]}"#,
        r#"{"inputs": [["\ud800\u0041"]]}"#,
        r#"{"inputs": [["\x"]]}"#,
        "{\"inputs\": [[\"a\nb\"]]}",
        r#"{"inputs": [[1e400]]}"#,
        r#"{"inputs": [[-1e400]]}"#,
        r#"{"inputs": [[01]]}"#,
        r#"{"inputs": [[1.]]}"#,
        r#"{"inputs": [[.5]]}"#,
        r#"{"inputs": [[+1]]}"#,
        r#"{"inputs": [[1e]]}"#,
        r#"{"inputs": [[-]]}"#,
        r#"{"inputs": [[NaN]]}"#,
        r#"{"inputs": [[Infinity]]}"#,
        r#"{"inputs": [[nul]]}"#,
        "{inputs: [[1]]}",
        r#"{"inputs": [[1]], "inputs": [[1]]}"#,
        r#"{"inputs": {"age": 1, "age": 2}}"#,
        r#"{"inputs": {"columns": [], "columns": []}}"#,
        r#"{"request_id": "a", "request_id": "b", "inputs": []}"#,
        &deep,
        &bomb,
        &long,
    ] {
        let got = decode(body, &schema);
        let shown = &body[..body.len().min(60)];
        assert!(
            matches!(got, Err(DecodeError::Malformed { .. })),
            "{shown}: {got:?}"
        );
    }
    let utf16 = predict_body(&[0xff, 0xfe, b'{', 0, b'}', 0], &schema, 1);
    assert!(matches!(utf16, Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_malformed_body_is_told_by_line_and_column_only() {
    let error = decode("{\"inputs\": [[\n  secret]]}", &people()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the body is not valid JSON: expected a value (line 2, column 3)"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_does_not_fit_is_told_in_the_names_that_were_sent() {
    let schema = people();
    let row = r#"{"age": 1, "city": "x", "income": 2, "id": 3, "member": false}"#;
    for (body, wanted) in [
        ("null".to_owned(), vec![" wrong-type"]),
        ("[]".to_owned(), vec![" wrong-type"]),
        ("3".to_owned(), vec![" wrong-type"]),
        ("{}".to_owned(), vec!["/inputs missing-field"]),
        (r#"{"inputs": 3}"#.to_owned(), vec!["/inputs wrong-type"]),
        (r#"{"inputs": null}"#.to_owned(), vec!["/inputs wrong-type"]),
        (r#"{"data": []}"#.to_owned(), vec!["/data wrong-length"]),
        (r#"{"data": [1]}"#.to_owned(), vec!["/data/0 wrong-type"]),
        (r#"{"inputs": [[1, "x", 2, 3]]}"#.to_owned(), vec!["/inputs/0 wrong-length"]),
        (r#"{"inputs": [[1, "x", 2, 3, true, 5]]}"#.to_owned(), vec!["/inputs/0 wrong-length"]),
        (r#"{"inputs": [[1, "x", 2, "3", true]]}"#.to_owned(), vec!["/inputs/0/3 wrong-type"]),
        (
            r#"{"data": [{"age": "1", "city": "x", "income": 2, "id": 3.5}]}"#.to_owned(),
            vec!["/data/0/age wrong-type", "/data/0/id not-exact", "/data/0/member missing-field"],
        ),
        (
            r#"{"inputs": {"columns": ["age", "age", "c~i/ty", 3], "data": [[1]]}}"#.to_owned(),
            vec![
                "/inputs/columns/1 duplicate-field",
                "/inputs/columns/2 unknown-field",
                "/inputs/columns/3 wrong-type",
                "/inputs/columns missing-field",
                "/inputs/columns missing-field",
                "/inputs/columns missing-field",
                "/inputs/columns missing-field",
            ],
        ),
        (
            r#"{"inputs": {"columns": ["age", "city", "income", "id", "member"], "data": [[1], {}]}}"#
                .to_owned(),
            vec!["/inputs/data/0 wrong-length", "/inputs/data/1 wrong-type"],
        ),
        (
            r#"{"inputs": {"data": [[1]], "names": 1}}"#.to_owned(),
            vec!["/inputs/names unknown-field", "/inputs/columns missing-field"],
        ),
        (
            format!(r#"{{"inputs": {row}, "data": {row}}}"#),
            vec!["/data duplicate-field"],
        ),
        (
            format!(
                r#"{{"inputs": {row}, "verbose": 1, "include_metadata": 1, "request_id": "", "version": 1.5}}"#
            ),
            vec![
                "/verbose unknown-field",
                "/include_metadata wrong-type",
                "/request_id invalid-value",
                "/version wrong-type",
            ],
        ),
        (
            format!(r#"{{"inputs": {row}, "request_id": "caf\u00e9"}}"#),
            vec!["/request_id invalid-value"],
        ),
    ] {
        assert_eq!(errors(&body, &schema), wanted, "{body}");
    }
}

#[test]
fn near_misses_are_named() {
    let schema = people();
    for (body, wanted) in [
        (
            r#"{"inputs": {"incom": 1}}"#,
            "the model has no feature \"incom\"; did you mean \"income\"?",
        ),
        (
            r#"{"inputs": [{"Member": 1}]}"#,
            "row 0: the model has no feature \"Member\"; did you mean \"member\"?",
        ),
        (
            r#"{"input_s": 1}"#,
            "\"input_s\" is no key of a request; did you mean \"inputs\"?",
        ),
        (
            r#"{"age": 1}"#,
            "\"age\" is no key of a request; it is a feature: features belong inside \"inputs\"",
        ),
        (
            r#"{"inputs": {"zebra": 1}}"#,
            "the model has no feature \"zebra\"",
        ),
    ] {
        let Err(DecodeError::Invalid(errors)) = decode(body, &schema) else {
            panic!("{body} was accepted");
        };
        assert_eq!(errors[0].detail, wanted);
    }
}

#[test]
fn twenty_errors_are_listed_and_the_rest_is_counted() {
    let rows = vec!["[1, 2, \"3\"]"; 30].join(",");
    let Err(DecodeError::Invalid(errors)) = decode(
        &format!(r#"{{"inputs": [{rows}]}}"#),
        &numbers(3, DataType::Float64),
    ) else {
        panic!("accepted");
    };
    assert_eq!(errors.len(), 21);
    assert_eq!(errors[20].detail, "10 more errors are not listed");
}

#[test]
fn rows_are_counted_before_they_are_kept() {
    let rows = vec!["[1]"; 101].join(",");
    let error = decode(
        &format!(r#"{{"inputs": [{rows}]}}"#),
        &numbers(1, DataType::Float64),
    );
    let wanted = DecodeError::TooManyRows {
        limit: 100,
        at_least: 101,
    };
    assert_eq!(error.unwrap_err(), wanted);
}

#[test]
fn options_are_read_in_any_place() {
    let schema = numbers(1, DataType::Float64);
    let body = r#"{"version": 7, "include_probabilities": false, "inputs": [1],
        "request_id": "order-7", "include_metadata": true}"#;
    let options = decode(body, &schema).unwrap().options;
    assert_eq!(options.request_id.as_deref(), Some("order-7"));
    assert_eq!(options.version.unwrap().version(), VersionRef::Number(7));
    assert!(!options.include_probabilities && options.include_metadata);
    let body = r#"{"inputs": [1], "version": null, "request_id": null}"#;
    assert_eq!(
        decode(body, &schema).unwrap().options,
        PredictOptions::default()
    );
}

#[test]
fn rows_on_their_own_are_read_as_inputs_and_named_as_the_client_names_them() {
    let schema = numbers(2, DataType::Float64);
    let read = |text: &str| rows_text(text.as_bytes(), &schema, 2, "samples");
    assert_eq!(
        read("[[1, 2], {\"x1\": 4, \"x0\": 3}]"),
        Ok(batch("{\"inputs\": [[1, 2], [3, 4]]}", &schema))
    );
    match read("[[1, 2], [3, true]]") {
        Err(DecodeError::Invalid(errors)) => assert_eq!(errors[0].pointer, "/samples/1/1"),
        other => panic!("{other:?}"),
    }
    for text in ["", " ", "[[1, 2]] x", "[[1, 2]], \"version\": 1", "[[1,"] {
        assert!(
            matches!(read(text), Err(DecodeError::Malformed { .. })),
            "{text}"
        );
    }
    let many = DecodeError::TooManyRows {
        limit: 2,
        at_least: 3,
    };
    assert_eq!(read("[[1, 2], [1, 2], [1, 2]]"), Err(many));
}
