//! The native request body: one key with the rows, and the options.

use std::borrow::Cow;

use super::json::Reader;
use super::report::{Report, pointer_to, shortened, suggestion};
use super::rows::RowReader;
use super::{Cell, DecodeError, Decoded, PredictOptions, VersionText};
use crate::column::Batch;
use crate::field::FieldError;
use crate::schema::Schema;

/// Names of the key that holds the rows.
const ROW_KEYS: [&str; 4] = ["inputs", "data", "input", "instances"];
/// Names of the options.
const OPTION_KEYS: [&str; 4] = [
    "include_probabilities",
    "include_metadata",
    "request_id",
    "version",
];
/// Longest `request_id` and `version`, in bytes.
const MAX_TEXT: usize = 128;

/// Reads a request body into the blocks of `schema`.
///
/// `body` is `{"inputs": …}` with at most `max_rows` rows, and options. The
/// rows are one object, a list of objects, a list of lists in schema order, a
/// list of scalars for a model of one feature, or `{"columns": […], "data": [[…]]}`.
/// A tensor field takes nested lists, or one flat list.
pub fn predict_body(body: &[u8], schema: &Schema, max_rows: usize) -> Result<Decoded, DecodeError> {
    let mut json = Reader::new(body)?;
    if json.is_blank() {
        return Err(json.malformed("the body is empty"));
    }
    let mut reader = BodyReader {
        schema,
        max_rows,
        report: Report::default(),
        options: PredictOptions::default(),
        seen: 0,
        batch: None,
    };
    if json.peek()? == b'{' {
        reader.object(&mut json)?;
        json.end()?;
    } else {
        let got = json.skip()?;
        json.end()?;
        reader.report.add(|| {
            FieldError::new("", "wrong-type", "the body has to be an object")
                .expected_got("object", got)
        });
    }
    reader.report.finish()?;
    let batch = reader.batch.unwrap_or_else(|| Batch::empty(schema));
    Ok(Decoded {
        batch,
        options: reader.options,
    })
}

/// Reads rows that came on their own, in any form `inputs` takes them.
///
/// `text` is one JSON value; `name` is what the client calls it and begins the
/// pointers of mistakes.
pub fn rows_text(
    text: &[u8],
    schema: &Schema,
    max_rows: usize,
    name: &str,
) -> Result<Batch, DecodeError> {
    let mut json = Reader::new(text)?;
    if json.is_blank() {
        return Err(json.malformed("the text is empty"));
    }
    let mut report = Report::default();
    let batch = RowReader::new(schema, max_rows, &mut report).read(&mut json, name)?;
    json.end()?;
    report.finish()?;
    Ok(batch)
}

struct BodyReader<'s> {
    schema: &'s Schema,
    max_rows: usize,
    report: Report,
    options: PredictOptions,
    /// One bit per known key.
    seen: u8,
    batch: Option<Batch>,
}

impl BodyReader<'_> {
    fn object(&mut self, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        json.open()?;
        let mut first = true;
        while let Some(key) = json.key(first)? {
            first = false;
            let known = ROW_KEYS.iter().chain(&OPTION_KEYS);
            let Some(index) = known.into_iter().position(|known| *known == key) else {
                json.skip()?;
                self.unknown_key(&key);
                continue;
            };
            if self.seen & (1 << index) != 0 {
                return Err(json.malformed("a key twice in one object"));
            }
            let rows_came_before = self.has_rows();
            self.seen |= 1 << index;
            match index {
                0..4 if rows_came_before => {
                    json.skip()?;
                    self.second_rows(ROW_KEYS[index]);
                }
                0..4 => {
                    let rows = RowReader::new(self.schema, self.max_rows, &mut self.report);
                    self.batch = Some(rows.read(json, ROW_KEYS[index])?);
                }
                4 | 5 => self.boolean(json, OPTION_KEYS[index - 4])?,
                6 => self.options.request_id = self.text(json, "request_id")?,
                _ => self.options.version = self.text(json, "version")?.map(VersionText),
            }
        }
        if !self.has_rows() {
            self.report
                .add(|| FieldError::new("/inputs", "missing-field", "the body has no \"inputs\""));
        }
        Ok(())
    }

    fn has_rows(&self) -> bool {
        self.seen & ((1 << ROW_KEYS.len()) - 1) != 0
    }

    fn unknown_key(&mut self, key: &str) {
        let schema = self.schema;
        self.report.add(|| {
            let hint = if schema.position(key).is_some() {
                "; it is a feature: features belong inside \"inputs\"".to_owned()
            } else {
                suggestion(key, ROW_KEYS.iter().chain(&OPTION_KEYS).copied())
            };
            let detail = format!("{:?} is no key of a request{hint}", shortened(key));
            FieldError::new(pointer_to("", key), "unknown-field", detail)
        });
    }

    fn second_rows(&mut self, key: &'static str) {
        self.report.add(|| {
            let detail =
                format!("{key:?} is another name of \"inputs\"; the rows may be given once");
            FieldError::new(pointer_to("", key), "duplicate-field", detail)
        });
    }

    fn boolean(&mut self, json: &mut Reader<'_>, key: &str) -> Result<(), DecodeError> {
        let Some(Cell::Bool(value)) = self.option(json, key, "boolean")? else {
            return Ok(());
        };
        if key == "include_probabilities" {
            self.options.include_probabilities = value;
        } else {
            self.options.include_metadata = value;
        }
        Ok(())
    }

    /// A short text; `null` is the same as leaving it out.
    fn text(&mut self, json: &mut Reader<'_>, key: &str) -> Result<Option<String>, DecodeError> {
        let expected = if key == "version" {
            "string or integer"
        } else {
            "string"
        };
        let text = match self.option(json, key, expected)? {
            Some(Cell::I64(number)) => return Ok(Some(number.to_string())),
            Some(Cell::Text(text)) => text,
            _ => return Ok(None),
        };
        if (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            return Ok(Some(text.into_owned()));
        }
        self.report.add(|| {
            let detail = format!("{key:?} has to be 1 to {MAX_TEXT} printable ASCII characters");
            FieldError::new(pointer_to("", key), "invalid-value", detail)
        });
        Ok(None)
    }

    /// The value of an option if its type is the expected one; otherwise it is reported.
    fn option<'a>(
        &mut self,
        json: &mut Reader<'a>,
        key: &str,
        expected: &str,
    ) -> Result<Option<Cell<'a>>, DecodeError> {
        let cell = match json.peek()? {
            b'{' | b'[' => None,
            _ => Some(json.scalar()?),
        };
        let got = match &cell {
            Some(cell) => cell.json_name(),
            None => json.skip()?,
        };
        let fits = expected.split(" or ").any(|name| name == got);
        let left_out = got == "null" && expected != "boolean";
        if fits {
            return Ok(cell);
        }
        if !left_out {
            self.report.add(|| {
                let detail = format!("{key:?} takes {expected}, not {got}");
                FieldError::new(pointer_to("", key), "wrong-type", detail)
                    .expected_got(Cow::from(expected), got)
            });
        }
        Ok(None)
    }
}
