//! Model folders of MLflow, as a zip or tar.gz: what `MLmodel` says, and the model file it names.
//!
//! Source: <https://mlflow.org/docs/latest/ml/model/>, "Storage Format".

mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use super::zip::entry_names;
use crate::EngineError;
use crate::reader::zip::Archive;
use crate::reader::{compressed, malformed, printable, tar, too_large};

/// Most bytes a folder may unpack to.
const MAX_BYTES: usize = 2 << 30;
/// Longest description of a folder.
const MAX_DESCRIPTION: usize = 1 << 20;

/// Longest example of an input.
const MAX_EXAMPLE: usize = 1 << 20;

/// Flavours that are served: their name, the key of the model's file, and its usual name.
const SERVED: &[(&str, &str, &str)] = &[
    ("sklearn", "pickled_model", "model.pkl"),
    ("onnx", "data", "model.onnx"),
    ("xgboost", "data", "model.xgb"),
    ("lightgbm", "data", "model.lgb"),
];

/// Flavours that are not, and how to export what they hold.
const REFUSED: &[(&str, &str)] = &[
    (
        "pytorch",
        "load it with mlflow.pytorch.load_model(folder) and export it: torch.onnx.export(model.eval(), (example,), \
         \"model.onnx\", dynamo=True, dynamic_shapes=({0: torch.export.Dim(\"rows\")},))",
    ),
    (
        "tensorflow",
        "load it with mlflow.tensorflow.load_model(folder) and export it: model.export(\"model.onnx\", format=\"onnx\"), \
         or python -m tf2onnx.convert --saved-model folder/data/model --output model.onnx",
    ),
    (
        "keras",
        "load it with mlflow.keras.load_model(folder) and export it: model.export(\"model.onnx\", format=\"onnx\")",
    ),
    (
        "catboost",
        "load it with mlflow.catboost.load_model(folder) and save it: model.save_model(\"model.json\", format=\"json\")",
    ),
    (
        "spark",
        "convert the pipeline with onnxmltools.convert_sparkml(model, name, initial_types) and save it with onnx.save",
    ),
    (
        "statsmodels",
        "refit the same equation with scikit-learn and save that with joblib",
    ),
    (
        "prophet",
        "train a forecast here from the series itself, or call the model from a program of your own",
    ),
    (
        "transformers",
        "export it: optimum-cli export onnx --model folder/model onnx/",
    ),
    (
        "sentence_transformers",
        "export it: optimum-cli export onnx --model folder/model.sentence_transformer onnx/",
    ),
    (
        "spacy",
        "export the network inside the pipeline to ONNX; tokenisers and rules of spaCy run in Python alone",
    ),
];

/// The model file of a folder, and what is known of its inputs.
pub(crate) struct ModelFile {
    /// The content.
    pub(crate) bytes: Vec<u8>,
    /// Names of the inputs, if the signature has them.
    pub(crate) names: Vec<String>,
    /// What the owner of the model should read.
    pub(crate) note: String,
}

/// The model file in a folder of MLflow; `None` if `bytes` are no such folder.
pub(crate) fn model_file(bytes: &[u8]) -> Result<Option<ModelFile>, EngineError> {
    let Some(folder) = Folder::open(bytes)? else {
        return Ok(None);
    };
    let Some(description) = folder.description()? else {
        return Ok(None);
    };
    let values = yaml::read(&description.text)?;
    let path = served(&values)?;
    let file = folder.read(&format!("{}{path}", description.prefix))?;
    let missing = || malformed(format!("the folder has no file {:?}", printable(&path)));
    let version = values.get("mlflow_version").map_or("", String::as_str);
    Ok(Some(ModelFile {
        bytes: file.ok_or_else(missing)?.into_owned(),
        names: names(&values),
        note: format!("it was read from a folder of MLflow {}", printable(version)),
    }))
}

/// The rows that a folder keeps as an example of its input, in a form that requests take; `None` if there are none.
///
/// `input_example.json` holds them as they were given: a frame by columns, a list of rows or a tensor; beside it
/// MLflow 2.16 and later keep `serving_input_example.json`, the body of a request to its own server.
pub(crate) fn example(bytes: &[u8]) -> Option<String> {
    let folder = Folder::open(bytes).ok()??;
    let description = folder.description().ok()??;
    let values = yaml::read(&description.text).ok()?;
    let named = |key| values.get(&format!("saved_input_example_info.{key}"));
    let files = [
        named("artifact_path").map_or("input_example.json", String::as_str),
        named("serving_input_path").map_or("serving_input_example.json", String::as_str),
    ];
    files.iter().find_map(|file| {
        let content = folder.read(&format!("{}{file}", description.prefix));
        rows(&content.ok()??)
    })
}

/// The rows in an example of an input.
fn rows(example: &[u8]) -> Option<String> {
    if example.len() > MAX_EXAMPLE {
        return None;
    }
    let rows = match serde_json::from_slice(example).ok()? {
        Value::Object(mut frame) if frame.contains_key("columns") => {
            frame.retain(|key, _| matches!(key.as_str(), "columns" | "data"));
            Value::Object(frame)
        }
        Value::Object(mut body) => {
            let keys = [
                "inputs",
                "instances",
                "dataframe_split",
                "dataframe_records",
            ];
            keys.iter().find_map(|key| body.remove(*key))?
        }
        list @ Value::Array(_) => list,
        _ => return None,
    };
    Some(rows.to_string())
}

/// The path of the model in the folder, by the flavour that is served.
fn served(values: &BTreeMap<String, String>) -> Result<String, EngineError> {
    let has = |flavour: &str| values.contains_key(&format!("flavors.{flavour}"));
    if let Some((flavour, key, usual)) = SERVED.iter().find(|(flavour, ..)| has(flavour)) {
        let path = values.get(&format!("flavors.{flavour}.{key}"));
        let path = path.or_else(|| values.get("flavors.python_function.model_path"));
        return Ok(path.map_or_else(|| (*usual).to_owned(), Clone::clone));
    }
    if let Some((flavour, advice)) = REFUSED.iter().find(|(flavour, _)| has(flavour)) {
        return Err(EngineError::Unsupported {
            what: format!("an MLflow model of the flavour {flavour}"),
            advice: (*advice).to_owned(),
        });
    }
    let loader = values.get("flavors.python_function.loader_module");
    Err(EngineError::Unsupported {
        what: match loader {
            Some(loader) => format!("an MLflow model that {} loads", printable(loader)),
            None => "an MLflow model without a flavour that is known".to_owned(),
        },
        advice: "it is Python code of its own; save the model inside it with joblib, or export it to ONNX".to_owned(),
    })
}

/// One column of a signature.
#[derive(Deserialize)]
struct Column {
    name: Option<String>,
}

/// Names of the signature's columns; none if any column lacks one.
fn names(values: &BTreeMap<String, String>) -> Vec<String> {
    let inputs = values.get("signature.inputs").map_or("", String::as_str);
    let columns: Vec<Column> = serde_json::from_str(inputs).unwrap_or_default();
    let names: Option<Vec<String>> = columns.into_iter().map(|column| column.name).collect();
    names.unwrap_or_default()
}

/// A folder in an archive.
enum Folder<'a> {
    Zip(Archive<'a>),
    Tar(Cow<'a, [u8]>, Vec<(String, Range<usize>)>),
}

/// The `MLmodel` of a folder.
struct Description {
    text: String,
    /// The folders it lies in, with a slash behind each.
    prefix: String,
}

impl<'a> Folder<'a> {
    /// The archive `bytes` are, if they are one that may hold such a folder.
    fn open(bytes: &'a [u8]) -> Result<Option<Self>, EngineError> {
        if bytes.starts_with(b"PK\x03\x04") {
            let names = entry_names(bytes).unwrap_or_default();
            if !names.iter().any(|name| is_description(name)) {
                return Ok(None);
            }
            return Archive::open(bytes, MAX_BYTES).map(|archive| Some(Self::Zip(archive)));
        }
        let content = if tar::sniff(bytes) {
            Cow::Borrowed(bytes)
        } else if bytes.starts_with(&[0x1f, 0x8b]) && tar::sniff(&beginning(bytes)) {
            compressed::expand(bytes, MAX_BYTES)?
        } else {
            return Ok(None);
        };
        let entries = tar::entries(&content)?;
        Ok(Some(Self::Tar(content, entries)))
    }

    /// The one `MLmodel`; `None` if there is none.
    fn description(&self) -> Result<Option<Description>, EngineError> {
        let names: Vec<&str> = match self {
            Self::Zip(archive) => archive.names().collect(),
            Self::Tar(_, entries) => entries.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let mut found = names.into_iter().filter(|name| is_description(name));
        let Some(name) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(malformed("an archive of several MLflow models"));
        }
        let bytes = self.read(name)?.unwrap_or_default();
        if bytes.len() > MAX_DESCRIPTION {
            return Err(too_large(format!(
                "an MLmodel of more than {MAX_DESCRIPTION} bytes"
            )));
        }
        let text = String::from_utf8(bytes.into_owned());
        Ok(Some(Description {
            text: text.map_err(|_| malformed("an MLmodel that is no text"))?,
            prefix: name.strip_suffix("MLmodel").unwrap_or_default().to_owned(),
        }))
    }

    fn read(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, EngineError> {
        match self {
            Self::Zip(archive) => archive.read(name),
            Self::Tar(content, entries) => {
                let found = entries.iter().find(|(entry, _)| entry == name);
                Ok(found.map(|(_, range)| Cow::Borrowed(&content[range.clone()])))
            }
        }
    }
}

fn is_description(name: &str) -> bool {
    name == "MLmodel" || name.ends_with("/MLmodel")
}

/// The first bytes of what is packed by gzip.
fn beginning(bytes: &[u8]) -> Vec<u8> {
    let mut first = Vec::new();
    let decoder = flate2::read::GzDecoder::new(bytes);
    // What cannot be unpacked is refused by whoever reads the whole.
    let _ = decoder.take(512).read_to_end(&mut first);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_all_forms_become_rows() {
        for (example, expected) in [
            (
                r#"{"columns":["a","b"],"index":[0],"data":[[1.5,2]]}"#,
                Some(r#"{"columns":["a","b"],"data":[[1.5,2]]}"#),
            ),
            (r#"{"inputs":[[1.5,2]]}"#, Some("[[1.5,2]]")),
            (r#"{"instances":[1,2]}"#, Some("[1,2]")),
            (
                r#"{"dataframe_split":{"columns":["a"],"data":[["x"]]}}"#,
                Some(r#"{"columns":["a"],"data":[["x"]]}"#),
            ),
            (r#"[{"a":1}]"#, Some(r#"[{"a":1}]"#)),
            (r#"{"messages":"hello"}"#, None),
            ("7", None),
            ("{", None),
        ] {
            assert_eq!(rows(example.as_bytes()).as_deref(), expected, "{example}");
        }
    }
}
