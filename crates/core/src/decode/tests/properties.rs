//! What holds for every body: the reader agrees with a general parser, names are found in any order.

use proptest::prelude::*;

use super::super::{Cell, json};
use super::batch;
use crate::schema::{DataType, Field, Schema};

/// JSON of any kind, with keys that need escapes.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,8}|[\"\\\\/\u{1}\n]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map("\\PC{0,4}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn value_of(field: &Field, seed: u64) -> String {
    match field.data_type {
        DataType::Float32 | DataType::Float64 if field.nullable && seed.is_multiple_of(5) => {
            "null".into()
        }
        DataType::Float32 => (seed % 1000).to_string(),
        DataType::Float64 => format!("{:?}", f64::from_bits(seed >> 2).min(1e300)),
        DataType::Int64 => i64::from_ne_bytes(seed.to_ne_bytes()).to_string(),
        DataType::Bool => seed.is_multiple_of(2).to_string(),
        DataType::String => format!("\"v{seed}\""),
    }
}

proptest! {
    #[test]
    fn reading_past_any_json_ends_where_it_ends(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let mut json = json::Reader::new(text.as_bytes()).unwrap();
            prop_assert!(json.skip().is_ok(), "{}", text);
            prop_assert!(json.end().is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_judged_as_a_general_parser_does(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let Ok(mut json) = json::Reader::new(&bytes) else { return Ok(()) };
        let ours = json.skip().and_then(|_| json.end()).is_ok();
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn broken_json_is_judged_as_a_general_parser_does(
        value in any_json(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"{}[],:\"\\0123456789.eE+-tfn u".to_vec()),
    ) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        let mut json = json::Reader::new(text.as_bytes()).unwrap();
        let ours = json.skip().and_then(|_| json.end()).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert!(ours == theirs || text.contains("\\u0000"), "{}", text);
    }

    #[test]
    fn numbers_and_strings_mean_what_a_general_parser_says(number in any::<f64>(), text in "\\PC{0,12}|[\"\\\\\u{1}\n\u{1f600}]{0,6}") {
        prop_assume!(number.is_finite());
        let spelled = serde_json::to_string(&number).unwrap();
        let read = json::Reader::new(spelled.as_bytes()).unwrap().scalar().unwrap();
        prop_assert_eq!(read, Cell::F64(number));
        let spelled = serde_json::to_string(&text).unwrap();
        let read = json::Reader::new(spelled.as_bytes()).unwrap().scalar().unwrap();
        prop_assert_eq!(read, Cell::Text(text.into()));
    }

    #[test]
    fn the_order_of_names_does_not_matter(
        types in prop::collection::vec((0_usize..5, any::<bool>()), 1..12),
        rows in prop::collection::vec(prop::collection::vec(any::<u64>(), 12), 1..5),
        shuffle in any::<u64>(),
    ) {
        const TYPES: [DataType; 5] = [DataType::Float32, DataType::Float64, DataType::Int64, DataType::Bool, DataType::String];
        let fields: Vec<Field> = types.iter().enumerate().map(|(i, (data_type, nullable))| {
            let field = Field::scalar(format!("f{i}\u{e9}"), TYPES[*data_type]);
            if *nullable { field.nullable() } else { field }
        }).collect();
        let schema = Schema::packed(fields.clone()).unwrap();
        let cells = |row: &Vec<u64>| -> Vec<String> {
            fields.iter().zip(row).map(|(field, seed)| value_of(field, *seed)).collect()
        };
        let lists: Vec<String> = rows.iter().map(|row| format!("[{}]", cells(row).join(","))).collect();
        let objects: Vec<String> = rows.iter().enumerate().map(|(r, row)| {
            let mut members: Vec<(u64, String)> = fields.iter().zip(cells(row)).enumerate().map(|(i, (field, cell))| {
                let key = shuffle.wrapping_mul(2 * (i * 7 + r / 2) as u64 + 1);
                (key, format!("{:?}:{cell}", field.name))
            }).collect();
            members.sort();
            let members: Vec<String> = members.into_iter().map(|(_, member)| member).collect();
            format!("{{{}}}", members.join(","))
        }).collect();
        let by_position = batch(&format!(r#"{{"inputs":[{}]}}"#, lists.join(",")), &schema);
        let by_name = batch(&format!(r#"{{"data":[{}]}}"#, objects.join(",")), &schema);
        prop_assert_eq!(by_position.rows, rows.len());
        prop_assert_eq!(format!("{by_position:?}"), format!("{by_name:?}"));
    }
}
