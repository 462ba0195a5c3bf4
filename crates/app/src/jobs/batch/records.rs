//! The records of a file, one after the other, never all of them in memory.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use csv_core::ReadRecordResult;
use futures_util::{Stream, StreamExt};
use plimsoll_blob::BlobError;
use plimsoll_core::decode::{DecodeError, Header};
use plimsoll_core::schema::Schema;

use super::RowsFormat;
use crate::Error;
use crate::jobs::Ended;

/// Longest record: what a request may carry.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// Most columns of a file.
const MAX_COLUMNS: usize = 100_000;

type Content = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// One record: a line, or the cells of one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) text: Vec<u8>,
    /// Where each cell ends; empty for a line.
    ends: Vec<usize>,
}

impl Record {
    /// The cells, or where the first one is that is not UTF-8.
    pub(super) fn cells(&self) -> Result<Vec<&str>, usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let cells = starts.zip(&self.ends).enumerate();
        cells
            .map(|(index, (start, end))| {
                std::str::from_utf8(&self.text[start..*end]).map_err(|_| index)
            })
            .collect()
    }
}

/// A file on its way into records.
pub(super) struct Records {
    content: Content,
    splitter: Splitter,
    ready: VecDeque<Record>,
    is_over: bool,
}

impl Records {
    pub(super) fn new(
        format: RowsFormat,
        content: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    ) -> Self {
        Self {
            content: Box::pin(content),
            splitter: Splitter::new(format),
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// The first record of a CSV file, which names the columns.
    pub(super) async fn header(&mut self, schema: &Schema) -> Result<Header, Ended> {
        let refused = |detail: String| Ended::failed("invalid-header", detail);
        let record = self.take(1).await?.pop();
        let record = record.ok_or_else(|| refused("the file is empty".to_owned()))?;
        let cells = record.cells();
        let names = cells.map_err(|_| refused("the header is not UTF-8".to_owned()))?;
        let names: Vec<&str> = names.into_iter().map(str::trim).collect();
        Header::read(&names, schema).map_err(|error| match error {
            DecodeError::Invalid(errors) => {
                let details: Vec<String> = errors.into_iter().map(|error| error.detail).collect();
                refused(format!(
                    "the header does not fit the model: {}",
                    details.join("; ")
                ))
            }
            other => refused(other.to_string()),
        })
    }

    /// Up to `count` more records; none at the end of the file.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<Record>, Ended> {
        while self.ready.len() < count && !self.is_over {
            if let Some(chunk) = self.content.next().await {
                let chunk = chunk.map_err(Error::from)?;
                self.splitter.feed(&chunk, &mut self.ready)?;
            } else {
                self.splitter.end(&mut self.ready);
                self.is_over = true;
            }
        }
        let count = count.min(self.ready.len());
        Ok(self.ready.drain(..count).collect())
    }
}

/// Cuts a text that comes in pieces.
enum Splitter {
    Lines { line: Vec<u8>, is_first: bool },
    Csv(Box<CsvSplitter>),
}

struct CsvSplitter {
    reader: csv_core::Reader,
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
}

impl Splitter {
    fn new(format: RowsFormat) -> Self {
        match format {
            RowsFormat::Jsonl => Self::Lines {
                line: Vec::new(),
                is_first: true,
            },
            RowsFormat::Csv => Self::Csv(Box::new(CsvSplitter {
                reader: csv_core::Reader::new(),
                text: vec![0; 1024],
                text_length: 0,
                ends: vec![0; 32],
                ends_length: 0,
            })),
        }
    }

    fn feed(&mut self, piece: &[u8], ready: &mut VecDeque<Record>) -> Result<(), Ended> {
        match self {
            Self::Lines { line, is_first } => {
                for part in piece.split_inclusive(|byte| *byte == b'\n') {
                    line.extend_from_slice(part);
                    if line.len() > MAX_RECORD_BYTES {
                        return Err(too_long());
                    }
                    if part.ends_with(b"\n") {
                        end_line(line, is_first, ready);
                    }
                }
                Ok(())
            }
            // An empty piece would mean the end to it.
            Self::Csv(_) if piece.is_empty() => Ok(()),
            Self::Csv(csv) => csv.feed(piece, ready),
        }
    }

    fn end(&mut self, ready: &mut VecDeque<Record>) {
        match self {
            Self::Lines { line, is_first } => end_line(line, is_first, ready),
            Self::Csv(csv) => {
                // What the buffers cannot grow for was refused while it came.
                let _ = csv.feed(&[], ready);
            }
        }
    }
}

/// Keeps a line unless it is blank.
fn end_line(line: &mut Vec<u8>, is_first: &mut bool, ready: &mut VecDeque<Record>) {
    let mut text = line.trim_ascii();
    if std::mem::take(is_first) {
        text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    }
    if !text.is_empty() {
        ready.push_back(Record {
            text: text.to_vec(),
            ends: Vec::new(),
        });
    }
    line.clear();
}

impl CsvSplitter {
    /// Reads a piece, or with an empty one the end of the text.
    fn feed(&mut self, mut piece: &[u8], ready: &mut VecDeque<Record>) -> Result<(), Ended> {
        loop {
            let text = &mut self.text[self.text_length..];
            let ends = &mut self.ends[self.ends_length..];
            let (result, read, written, ended) = self.reader.read_record(piece, text, ends);
            piece = &piece[read..];
            self.text_length += written;
            self.ends_length += ended;
            match result {
                ReadRecordResult::InputEmpty => {
                    if piece.is_empty() {
                        return Ok(());
                    }
                }
                ReadRecordResult::OutputFull if self.text.len() >= MAX_RECORD_BYTES => {
                    return Err(too_long());
                }
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_COLUMNS => {
                    return Err(too_long());
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    ready.push_back(Record {
                        text: self.text[..self.text_length].to_vec(),
                        ends: self.ends[..self.ends_length].to_vec(),
                    });
                    (self.text_length, self.ends_length) = (0, 0);
                }
                ReadRecordResult::End => return Ok(()),
            }
        }
    }
}

fn too_long() -> Ended {
    Ended::failed(
        "record-too-long",
        format!(
            "a record is longer than {MAX_RECORD_BYTES} bytes or has more than {MAX_COLUMNS} cells; \
             a quote that is not closed makes one of the rest of the file"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn records(format: RowsFormat, text: &[u8], piece: usize) -> Vec<Vec<String>> {
        let pieces: Vec<_> = text
            .chunks(piece)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let mut records = Records::new(format, futures_util::stream::iter(pieces));
        let taken = records.take(100).await.unwrap();
        assert!(records.take(1).await.unwrap().is_empty());
        let texts = |record: &Record| match format {
            RowsFormat::Csv => record
                .cells()
                .unwrap()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            RowsFormat::Jsonl => vec![String::from_utf8(record.text.clone()).unwrap()],
        };
        taken.iter().map(texts).collect()
    }

    #[tokio::test]
    async fn records_are_the_same_wherever_the_text_is_cut() {
        let csv = "\u{feff}a,b\r\n\"1,5\",\"say \"\"x\"\"\"\r\n\r\n,\n\"two\nlines\",é";
        let expected = [
            vec!["a", "b"],
            vec!["1,5", "say \"x\""],
            vec!["", ""],
            vec!["two\nlines", "é"],
        ];
        // A byte order mark is taken off in one piece; the store gives 256 KiB at once.
        for piece in [3, 4, 7, 100] {
            assert_eq!(
                records(RowsFormat::Csv, csv.as_bytes(), piece).await,
                expected
            );
        }
        let lines = "\u{feff}{\"a\": 1}\r\n\n  \n[2]\n\"é\"";
        let expected = [vec!["{\"a\": 1}"], vec!["[2]"], vec!["\"é\""]];
        for piece in [1, 2, 3, 100] {
            assert_eq!(
                records(RowsFormat::Jsonl, lines.as_bytes(), piece).await,
                expected
            );
        }
    }

    #[tokio::test]
    async fn long_records_grow_the_buffers_up_to_a_limit() {
        let cell = "x".repeat(5000);
        let row = vec![cell.as_str(); 40].join(",");
        let read = records(RowsFormat::Csv, row.as_bytes(), 999).await;
        assert_eq!(read, [vec![cell; 40]]);
        let endless = vec![b'"'; 1];
        let pieces = std::iter::once(endless).chain((0..40).map(|_| vec![b'x'; 1 << 20]));
        let pieces = pieces.map(|piece| Ok(Bytes::from(piece)));
        for format in [RowsFormat::Csv, RowsFormat::Jsonl] {
            let pieces: Vec<_> = pieces.clone().collect();
            let mut records = Records::new(format, futures_util::stream::iter(pieces));
            let refused = records.take(1).await.unwrap_err();
            assert!(matches!(
                refused,
                Ended::Failed {
                    code: "record-too-long",
                    ..
                }
            ));
        }
    }

    #[tokio::test]
    async fn cells_that_are_not_text_are_named_by_their_place() {
        let content = futures_util::stream::iter([Ok(Bytes::from_static(b"a,\xff,c\n"))]);
        let mut records = Records::new(RowsFormat::Csv, content);
        let taken = records.take(1).await.unwrap();
        assert_eq!(taken[0].cells(), Err(1));
    }
}
