//! The values of one row, and what is said about those that do not fit.

use super::coerce::expected;
use super::json::Reader;
use super::report::{pointer_to, shortened, suggestion};
use super::rows::{Label, RowReader};
use super::{DecodeError, Mismatch};
use crate::field::{FieldError, push_pointer};
use crate::schema::Schema;

/// The nesting of a tensor's lists, as far as it has been read.
#[derive(Default)]
struct Nesting {
    /// Length of the lists at each level; `None` before the first has ended.
    lengths: Vec<Option<usize>>,
    /// Level at which the elements are.
    leaf_level: Option<usize>,
    /// Two lists of one level differ, or elements lie at different levels.
    ragged: bool,
}

impl RowReader<'_, '_> {
    /// The field called `name`, which comes at position `at` of its object.
    ///
    /// Rows of one request tend to have their keys in one order, so the field
    /// of the row before is tried first and nothing needs to be hashed.
    pub(super) fn field_at(&mut self, at: usize, name: &str) -> Option<usize> {
        let fields = self.schema.inputs();
        let likely = self.order.get(at).copied().unwrap_or(at);
        if fields.get(likely).is_some_and(|field| field.name == name) {
            return Some(likely);
        }
        let found = self.schema.position(name).or_else(|| self.alias(name))?;
        if self.order.is_empty() {
            self.order.extend(0..fields.len());
        }
        if let Some(likely) = self.order.get_mut(at) {
            *likely = found;
        }
        Some(found)
    }

    /// `feature1` is the first feature of a model whose features have no names.
    fn alias(&mut self, name: &str) -> Option<usize> {
        numbered(name, self.schema).filter(|_| self.is_unnamed())
    }

    /// Reads the value of `field`.
    pub(super) fn value(
        &mut self,
        json: &mut Reader<'_>,
        field: usize,
        label: Label<'_>,
    ) -> Result<(), DecodeError> {
        let next = json.peek()?;
        let result = match (self.schema.inputs()[field].is_scalar(), next) {
            (true, b'{' | b'[') => {
                let got = json.skip()?;
                Err(self.builder.refuse(field, got))
            }
            (true, _) => self.builder.set(field, json.scalar()?),
            (false, b'[') => self.tensor(json, field, label)?,
            (false, _) => {
                let got = json.skip()?;
                Err(self.builder.refuse(field, got))
            }
        };
        match result {
            Err(Mismatch {
                code: "duplicate-field",
                ..
            }) => Err(json.malformed("a key twice in one object")),
            Err(found) => {
                self.mismatch(field, label, found);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn tensor(
        &mut self,
        json: &mut Reader<'_>,
        field: usize,
        label: Label<'_>,
    ) -> Result<Result<(), Mismatch>, DecodeError> {
        let errors = self.report.count();
        let mut nesting = Nesting::default();
        self.nested(json, field, label, &mut nesting)?;
        let shape: Vec<usize> = nesting.lengths.iter().map(|n| n.unwrap_or(0)).collect();
        let leaves_fit = nesting.leaf_level.is_none_or(|level| level == shape.len());
        Ok(if self.report.count() > errors {
            // Already said; the field only has to count as given.
            self.builder.refuse(field, "array");
            Ok(())
        } else if nesting.ragged || !leaves_fit {
            let got = "lists of different lengths";
            let expected = "lists of equal length at each level";
            self.builder.refuse(field, "array");
            Err(Mismatch::new("wrong-length", expected, got))
        } else {
            self.builder.end_tensor(field, &shape)
        })
    }

    /// Pushes the elements of nested lists; `path` has one index per level.
    fn nested(
        &mut self,
        json: &mut Reader<'_>,
        field: usize,
        label: Label<'_>,
        nesting: &mut Nesting,
    ) -> Result<(), DecodeError> {
        json.open()?;
        let level = self.path.len();
        if nesting.lengths.len() == level {
            nesting.lengths.push(None);
        }
        self.path.push(0);
        let mut count = 0;
        while json.element(count == 0)? {
            self.path[level] = count;
            count += 1;
            if json.peek()? == b'[' {
                self.nested(json, field, label, nesting)?;
                continue;
            }
            nesting.ragged |= *nesting.leaf_level.get_or_insert(level + 1) != level + 1;
            let pushed = if json.peek()? == b'{' {
                let got = json.skip()?;
                Err(Mismatch::new(
                    "wrong-type",
                    expected(&self.schema.inputs()[field]),
                    got,
                ))
            } else {
                self.builder.push(field, json.scalar()?)
            };
            if let Err(found) = pushed {
                self.mismatch(field, label, found);
            }
        }
        self.path.pop();
        nesting.ragged |= *nesting.lengths[level].get_or_insert(count) != count;
        Ok(())
    }

    /// Reports features the row has not given.
    pub(super) fn report_missing(&mut self) {
        let (row, base) = (self.row, &self.base);
        for field in self.builder.missing() {
            self.report.add(|| {
                let definition = &self.schema.inputs()[field];
                let hint = if definition.nullable {
                    "; send null if it is unknown"
                } else {
                    ""
                };
                let (place, name) = (row_text(row), shortened(&definition.name));
                let detail = format!("{place}feature {name:?} is missing{hint}");
                let pointer = pointer_to(&row_pointer(base, row), &definition.name);
                FieldError::new(pointer, "missing-field", detail)
            });
        }
    }

    /// Reports a name that no feature has; `pointer` says where, if not in the row.
    pub(super) fn unknown_field(&mut self, name: &str, pointer: Option<String>) {
        let (row, base) = (self.row, &self.base);
        self.report.add(|| {
            let names = self.schema.inputs().iter().map(|field| field.name.as_str());
            let hint = suggestion(name, names);
            let (place, short) = (row_text(row), shortened(name));
            let detail = format!("{place}the model has no feature {short:?}{hint}");
            let pointer = pointer.unwrap_or_else(|| pointer_to(&row_pointer(base, row), name));
            FieldError::new(pointer, "unknown-field", detail)
        });
    }

    /// Reports a row of another JSON type than rows have.
    pub(super) fn not_a_row(&mut self, expected: &str, got: &str) {
        let (row, base) = (self.row, &self.base);
        let detail = || {
            let place = row_text(row);
            format!("{place}a row is an {expected}, not {got}; one row on its own is [[…]]")
        };
        let pointer = row_pointer(base, row);
        self.report.wrong_type(&pointer, detail, expected, got);
    }

    /// Reports a row with too many or too few values.
    pub(super) fn wrong_width(&mut self, takes: usize, sent: usize) {
        let (row, base) = (self.row, &self.base);
        self.report.add(|| {
            let place = row_text(row);
            let detail = format!("{place}the model takes {takes} features, not {sent}");
            FieldError::new(row_pointer(base, row), "wrong-length", detail)
                .expected_got(format!("{takes} values"), format!("{sent} values"))
        });
    }

    fn mismatch(&mut self, field: usize, label: Label<'_>, found: Mismatch) {
        let (row, base, path) = (self.row, &self.base, &self.path);
        self.report.add(|| {
            let name = &self.schema.inputs()[field].name;
            let mut pointer = row_pointer(base, row);
            match label {
                Label::Name(name) => pointer = pointer_to(&pointer, name),
                Label::Position(at) => push_pointer(&mut pointer, &at.to_string()),
                Label::Whole => {}
            }
            for index in path {
                push_pointer(&mut pointer, &index.to_string());
            }
            explain(pointer, &row_text(row), name, found)
        });
    }
}

/// The feature that `feature1` means, counted from 1.
pub(super) fn numbered(name: &str, schema: &Schema) -> Option<usize> {
    let digits = name.strip_prefix("feature")?;
    if digits.starts_with(['0', '+']) {
        return None;
    }
    let number: usize = digits.parse().ok()?;
    (1..=schema.inputs().len())
        .contains(&number)
        .then(|| number - 1)
}

/// A mistake about the value of feature `name`; `place` is `row 3: ` or empty.
pub(super) fn explain(pointer: String, place: &str, name: &str, found: Mismatch) -> FieldError {
    let (name, expected, got) = (shortened(name), &found.expected, &found.got);
    let detail = match found.code {
        "null-not-allowed" => format!("{place}feature {name:?} must not be null"),
        "not-exact" => {
            format!("{place}feature {name:?} takes {expected}; this {got} would be changed")
        }
        _ => format!("{place}feature {name:?} takes {expected}, not {got}"),
    };
    FieldError::new(pointer, found.code, detail).expected_got(found.expected, found.got)
}

fn row_pointer(base: &str, row: Option<usize>) -> String {
    row.map_or_else(|| base.to_owned(), |row| format!("{base}/{row}"))
}

fn row_text(row: Option<usize>) -> String {
    row.map_or_else(String::new, |row| format!("row {row}: "))
}
