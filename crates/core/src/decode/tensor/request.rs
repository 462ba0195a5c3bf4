//! What an inference request says about its tensors, before a schema is known.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::content::Content;
use super::datatype::Datatype;
use crate::decode::DecodeError;
use crate::decode::report::shortened;
use crate::field::FieldError;

/// Longest `id`, in bytes.
const MAX_ID: usize = 128;
/// Tensors of one request; more than any model has inputs that are told apart by name.
const MAX_TENSORS: usize = 4096;
/// Dimensions of one tensor.
const MAX_RANK: usize = 16;

/// An inference request.
#[derive(Clone, Debug)]
pub struct InferRequest<'a> {
    /// The whole message, JSON and binary data.
    pub message: &'a [u8],
    /// How many bytes of it are JSON.
    pub json: usize,
    /// The caller's own name for it: 1 to 128 printable ASCII characters.
    pub id: Option<String>,
    /// Its tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// The outputs that are wanted; empty means all.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that do not say otherwise are answered as binary data.
    pub is_binary: bool,
}

/// One tensor of a request.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Its place in the request.
    pub(super) index: usize,
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// How many elements it has.
    pub(super) elements: usize,
    pub(super) content: Content<'a>,
}

/// One output that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it is answered as binary data, if it says so itself.
    pub is_binary: Option<bool>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    #[serde(borrow)]
    outputs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    shape: Option<&'a RawValue>,
    #[serde(borrow)]
    datatype: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    binary_data_size: Option<u64>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    classification: Option<u64>,
}

impl<'a> InferRequest<'a> {
    /// Reads a message of which the first `json` bytes are JSON, and the rest the
    /// binary data of its tensors in their order.
    pub fn read(message: &'a [u8], json: usize) -> Result<Self, DecodeError> {
        let Some((text, binary)) = message.split_at_checked(json) else {
            let detail = "Inference-Header-Content-Length is larger than the body".to_owned();
            return Err(DecodeError::Malformed { detail });
        };
        let said: Message<'a> = object(text)?;
        let parameters: Parameters = optional(said.parameters, "/parameters", "object")?;
        let mut rest = binary;
        let inputs: Vec<&RawValue> = borrowed(said.inputs, "/inputs")?;
        if inputs.is_empty() || inputs.len() > MAX_TENSORS {
            let expected = format!("1 to {MAX_TENSORS} tensors");
            let detail = format!("\"inputs\" has {} tensors", inputs.len());
            return Err(refused("/inputs", "wrong-length", detail, &expected));
        }
        let tensors = inputs.iter().enumerate();
        let tensors = tensors.map(|(index, raw)| tensor(index, raw, &mut rest));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        if !rest.is_empty() {
            let detail = format!("{} bytes behind the last tensor belong to none", rest.len());
            return Err(refused("/inputs", "wrong-length", detail, "no more bytes"));
        }
        Ok(Self {
            message,
            json,
            id: id(said.id)?,
            tensors,
            outputs: outputs(said.outputs)?,
            is_binary: parameters.binary_data_output.unwrap_or(false),
        })
    }
}

/// The name of a request; an empty one is none.
fn id(raw: Option<&RawValue>) -> Result<Option<String>, DecodeError> {
    let id: String = optional(raw, "/id", "string")?;
    if id.len() <= MAX_ID && id.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(Some(id).filter(|id| !id.is_empty()));
    }
    let expected = format!("at most {MAX_ID} printable ASCII characters");
    let detail = "\"id\" is no name of a request".to_owned();
    Err(refused("/id", "invalid-value", detail, &expected))
}

fn outputs(raw: Option<&RawValue>) -> Result<Vec<RequestedOutput>, DecodeError> {
    if raw.is_none() {
        return Ok(Vec::new());
    }
    let of = |(index, raw): (usize, &&RawValue)| {
        let base = format!("/outputs/{index}");
        let said: Described<'_> = nested(raw, &base)?;
        let pointer = format!("{base}/parameters");
        let parameters: Parameters = optional(said.parameters, &pointer, "object of parameters")?;
        let name: String = required(said.name, &format!("{base}/name"), "string")?;
        if parameters.classification.is_some_and(|count| count > 0) {
            let detail = format!(
                "output {:?}: the classification extension is not offered",
                shortened(&name)
            );
            let expected = "no parameter classification; ask for the output probabilities";
            return Err(refused(&pointer, "unknown-field", detail, expected));
        }
        let is_binary = parameters.binary_data;
        Ok(RequestedOutput { name, is_binary })
    };
    let all = borrowed(raw, "/outputs")?;
    all.iter().enumerate().map(of).collect()
}

/// One tensor, and what is behind its binary data.
fn tensor<'a>(
    index: usize,
    raw: &'a RawValue,
    rest: &mut &'a [u8],
) -> Result<Tensor<'a>, DecodeError> {
    let base = format!("/inputs/{index}");
    let said: Described<'a> = nested(raw, &base)?;
    let name: String = required(said.name, &format!("{base}/name"), "string")?;
    let about = shortened(&name);
    let datatype: String = required(said.datatype, &format!("{base}/datatype"), "string")?;
    let Some(datatype) = Datatype::named(&datatype) else {
        let pointer = format!("{base}/datatype");
        let detail = format!("tensor {about:?} has an unknown datatype");
        let expected = "BOOL, UINT8…UINT64, INT8…INT64, FP16, BF16, FP32, FP64 or BYTES";
        return Err(refused(&pointer, "invalid-value", detail, expected));
    };
    let sent: Vec<i64> = required(said.shape, &format!("{base}/shape"), "list of integers")?;
    let (shape, elements) = dimensions(&sent).ok_or_else(|| {
        let detail = format!("tensor {about:?} has a negative or far too large dimension");
        let expected = format!("at most {MAX_RANK} dimensions whose product fits in memory");
        refused(&format!("{base}/shape"), "invalid-value", detail, &expected)
    })?;
    let pointer = format!("{base}/parameters");
    let parameters: Parameters = optional(said.parameters, &pointer, "object of parameters")?;
    let content = match (said.data, parameters.binary_data_size) {
        (Some(data), None) => Content::Json(data),
        (None, Some(size)) => Content::Binary(taken(rest, size).ok_or_else(|| {
            let got = format!("{} bytes", rest.len());
            let detail = format!("the binary data of tensor {about:?} is cut off");
            let error = FieldError::new(&pointer, "wrong-length", detail);
            DecodeError::Invalid(vec![error.expected_got(format!("{size} bytes"), got)])
        })?),
        (_, size) => {
            let which = if size.is_some() { "both" } else { "neither" };
            let detail = format!("tensor {about:?} has {which} data and binary_data_size");
            return Err(refused(&base, "contradiction", detail, "one of the two"));
        }
    };
    Ok(Tensor {
        index,
        name,
        datatype,
        shape,
        elements,
        content,
    })
}

/// A shape without negative dimensions, and how many elements it has.
fn dimensions(sent: &[i64]) -> Option<(Vec<usize>, usize)> {
    if sent.len() > MAX_RANK {
        return None;
    }
    let shape = sent.iter().map(|dim| usize::try_from(*dim).ok());
    let shape = shape.collect::<Option<Vec<usize>>>()?;
    let product = |product: usize, dim: &usize| product.checked_mul(*dim);
    let elements = shape.iter().try_fold(1, product)?;
    Some((shape, elements))
}

fn taken<'a>(rest: &mut &'a [u8], size: u64) -> Option<&'a [u8]> {
    let (own, others) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    *rest = others;
    Some(own)
}

fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, DecodeError> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        let detail = "an inference request begins with a JSON object".to_owned();
        return Err(DecodeError::Malformed { detail });
    }
    serde_json::from_slice(text).map_err(|error| DecodeError::Malformed {
        // Where, and never what: the message of serde may repeat a value.
        detail: format!(
            "not the JSON of an inference request at line {} column {}",
            error.line(),
            error.column()
        ),
    })
}

/// The members of an object inside the request.
fn nested<'a>(raw: &'a RawValue, pointer: &str) -> Result<Described<'a>, DecodeError> {
    let read = || serde_json::from_str(raw.get()).ok();
    let described = raw.get().starts_with('{').then(read).flatten();
    described.ok_or_else(|| mistyped(raw, pointer, "object"))
}

/// The items of a list.
fn borrowed<'a>(
    raw: Option<&'a RawValue>,
    pointer: &str,
) -> Result<Vec<&'a RawValue>, DecodeError> {
    let Some(raw) = raw else {
        let detail = format!("the request has no {:?}", &pointer[1..]);
        return Err(refused(pointer, "missing-field", detail, "list of tensors"));
    };
    serde_json::from_str(raw.get()).map_err(|_| mistyped(raw, pointer, "list of tensors"))
}

fn required<T: DeserializeOwned>(
    raw: Option<&RawValue>,
    pointer: &str,
    expected: &str,
) -> Result<T, DecodeError> {
    let Some(raw) = raw else {
        let detail = format!("{pointer} is missing");
        return Err(refused(pointer, "missing-field", detail, expected));
    };
    serde_json::from_str(raw.get()).map_err(|_| mistyped(raw, pointer, expected))
}

fn optional<T: DeserializeOwned + Default>(
    raw: Option<&RawValue>,
    pointer: &str,
    expected: &str,
) -> Result<T, DecodeError> {
    raw.map_or_else(
        || Ok(T::default()),
        |raw| required(Some(raw), pointer, expected),
    )
}

fn mistyped(raw: &RawValue, pointer: &str, expected: &str) -> DecodeError {
    let got = match raw.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    };
    let detail = format!("{pointer} is not what the protocol has there");
    let error = FieldError::new(pointer, "wrong-type", detail);
    DecodeError::Invalid(vec![error.expected_got(expected, got)])
}

pub(super) fn refused(
    pointer: &str,
    code: &'static str,
    detail: impl Into<Cow<'static, str>>,
    expected: &str,
) -> DecodeError {
    let mut error = FieldError::new(pointer, code, detail.into().into_owned());
    error.expected = Some(expected.to_owned());
    DecodeError::Invalid(vec![error])
}
