//! A translated model as one flat file, so that a cold load translates nothing.
//!
//! `PLIMFLAT`, the version (8 bytes), the CRC-32 of the rest (4 bytes), then
//! description, schema and kernels in the wire format of `postcard`. A kernel
//! needs nothing for this but its `serde` derives.
//!
//! Such a file is written by this program alone and found by its SHA-256, which
//! the database keeps for the original and which is compared as the file is read.
//! So nobody else's bytes come here, and what the builders of kernels promised
//! still holds; the checksum and what trees and models check again are there
//! for mistakes of this program. How deep kernels nest was bounded when they
//! were translated.
//!
//! The version is a fingerprint of the kernels' sources (`build.rs`): any change
//! of a kernel is another version, and nobody can forget to count it up. A file
//! of another version is not read but made again from the original.

use plimsoll_core::schema::{ClassLabel, Field, Schema, Task};
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::model::Model;
use crate::kernel::native::Native;
use crate::open::{Description, Opened};
use crate::reader::malformed;

const MAGIC: &[u8; 8] = b"PLIMFLAT";
/// Magic, version and checksum.
const HEAD_BYTES: usize = 20;

/// The version of the flat form this program writes and reads: 16 hexadecimal digits.
pub const FLAT_VERSION: &str = env!("PLIMSOLL_FLAT_VERSION");

/// What a flat file holds after its head; borrowed to write, owned to read.
#[derive(Serialize)]
struct Written<'m> {
    description: &'m Description,
    schema: String,
    model: &'m Model,
}

#[derive(Deserialize)]
struct Read {
    description: Description,
    schema: String,
    model: Model,
}

/// A schema in JSON: its types leave members out, which only a format with names can read back.
#[derive(Serialize, Deserialize)]
struct Words {
    /// Whether each input has a block of its own.
    separate: bool,
    inputs: Vec<Field>,
    outputs: Vec<Field>,
    classes: Vec<ClassLabel>,
    task: Task,
}

/// The flat form of a model; `None` if it would not be read back.
pub(crate) fn write(description: &Description, schema: &Schema, model: &Model) -> Option<Vec<u8>> {
    let mut slots = schema.slots().iter().enumerate();
    let words = Words {
        separate: slots.all(|(index, slot)| (slot.block, slot.offset) == (index, 0)),
        inputs: schema.inputs().to_vec(),
        outputs: schema.outputs.clone(),
        classes: schema.classes.clone(),
        task: schema.task,
    };
    let written = Written {
        description,
        schema: serde_json::to_string(&words).ok()?,
        model,
    };
    let file = postcard::to_extend(&written, vec![0; HEAD_BYTES]);
    let mut file = file.ok()?;
    let checksum = crc32fast::hash(&file[HEAD_BYTES..]);
    file[..8].copy_from_slice(MAGIC);
    file[8..16].copy_from_slice(&version().to_le_bytes());
    file[16..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
    read(&file).is_ok().then_some(file)
}

/// Reads a flat file of this program's own version.
///
/// Errors: [`EngineError::Unsupported`] if another version wrote it,
/// [`EngineError::Malformed`] if it is damaged or no flat file.
pub(crate) fn read(file: &[u8]) -> Result<Opened, EngineError> {
    let Some((head, body)) = file.split_first_chunk::<HEAD_BYTES>() else {
        return Err(malformed("a flat file ends within its head"));
    };
    let (magic, rest) = head.split_at(8);
    if magic != MAGIC {
        return Err(malformed("this is no flat file"));
    }
    if rest[..8] != version().to_le_bytes() {
        return Err(EngineError::Unsupported {
            what: "a flat file of another version".to_owned(),
            advice: "it is made again from the original".to_owned(),
        });
    }
    if rest[8..] != crc32fast::hash(body).to_le_bytes() {
        return Err(malformed("the checksum of a flat file is another one"));
    }
    let damaged = |what: &str| malformed(format!("a flat file has {what}"));
    let (read, left): (Read, _) =
        postcard::take_from_bytes(body).map_err(|error| damaged(&error.to_string()))?;
    if !left.is_empty() {
        return Err(damaged("something behind its end"));
    }
    let words: Words =
        serde_json::from_str(&read.schema).map_err(|error| damaged(&error.to_string()))?;
    let schema = if words.separate {
        Schema::separate(words.inputs)
    } else {
        Schema::packed(words.inputs)
    };
    let schema = schema.map_err(|error| malformed(error.to_string()))?;
    let schema = schema.answering(words.task, words.outputs, words.classes);
    read.model.check()?;
    Ok(Opened {
        predictor: Box::new(Native::new(schema, read.model)?),
        description: read.description,
    })
}

fn version() -> u64 {
    u64::from_str_radix(FLAT_VERSION, 16).expect("invariant: the build writes hexadecimal digits")
}
