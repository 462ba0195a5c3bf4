use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::column::{Column, Values};

/// What a record borrows, owned.
#[derive(Clone, Debug)]
struct Owned {
    numbers: [u128; 5],
    at: i64,
    version_number: i64,
    latency_us: u64,
    texts: [Option<String>; 2],
    header_request_id: String,
    key: bool,
    flags: [bool; 3],
    kept: Kept,
    input: Batch,
    outcome: Result<Output, String>,
}

impl Owned {
    fn record(&self) -> PredictionRecord<'_> {
        PredictionRecord {
            head: RecordHead {
                prediction: PredictionId::from_u128(self.numbers[0]),
                at: Timestamp::from_micros(self.at),
                model: ModelId::from_u128(self.numbers[1]),
                version: VersionId::from_u128(self.numbers[2]),
                version_number: self.version_number,
                endpoint: self.texts[0].as_deref(),
                key: self.key.then(|| KeyId::from_u128(self.numbers[3])),
                user: UserId::from_u128(self.numbers[4]),
                request_id: self.texts[1].as_deref(),
                header_request_id: &self.header_request_id,
                latency_us: self.latency_us,
                cached: self.flags[0],
                result_cached: self.flags[1],
                shadow: self.flags[2],
                kept: self.kept,
            },
            input: &self.input,
            redacted: &[],
            outcome: match &self.outcome {
                Ok(output) => Outcome::Answered(output),
                Err(code) => Outcome::Failed { code },
            },
        }
    }
}

fn encoded(record: &PredictionRecord<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

fn column(rows: usize) -> impl Strategy<Value = Column> {
    (0..4_usize, vec(0..300_usize, 0..3)).prop_flat_map(move |(width, shape)| {
        let n = rows * width;
        let values = prop_oneof![
            vec(-1e9..1e9_f32, n).prop_map(Values::Float32),
            vec(-1e300..1e300_f64, n).prop_map(Values::Float64),
            vec(any::<i64>(), n).prop_map(Values::Int64),
            vec(any::<bool>(), n).prop_map(Values::Bool),
            vec(option::of(".{0,9}"), n).prop_map(Values::Text),
        ];
        values.prop_map(move |values| Column {
            values,
            width,
            shape: shape.clone(),
        })
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    (0..4_usize).prop_flat_map(|rows| {
        vec(column(rows), 0..4).prop_map(move |columns| Batch { rows, columns })
    })
}

fn output() -> impl Strategy<Value = Output> {
    let classes = (vec(any::<u32>(), 0..4), vec(0.0..1.0_f64, 0..9));
    (batch(), classes).prop_map(|(batch, (labels, probabilities))| Output {
        rows: batch.rows,
        labels,
        probabilities,
        values: batch.columns,
    })
}

fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        Just(Kept::Values),
        Just(Kept::Digests),
        Just(Kept::Row),
        Just(Kept::Nothing),
    ]
}

fn owned() -> impl Strategy<Value = Owned> {
    let numbers = (
        any::<[u128; 5]>(),
        any::<i64>(),
        any::<i64>(),
        any::<u64>(),
        any::<bool>(),
        any::<[bool; 3]>(),
        kept(),
    );
    let texts = (option::of(".{0,140}"), option::of(".{0,9}"), ".{0,40}");
    let outcome = prop_oneof![output().prop_map(Ok), "[a-z-]{0,20}".prop_map(Err)];
    (numbers, texts, batch(), outcome).prop_map(|(numbers, texts, input, outcome)| Owned {
        numbers: numbers.0,
        at: numbers.1,
        version_number: numbers.2,
        latency_us: numbers.3,
        key: numbers.4,
        flags: numbers.5,
        kept: numbers.6,
        texts: [texts.0, texts.1],
        header_request_id: texts.2,
        input,
        outcome,
    })
}

fn assert_same(record: &PredictionRecord<'_>, view: &RecordView<'_>) {
    assert_eq!(view.head, record.head);
    assert_eq!(&view.input.to_batch(), record.input);
    assert!(view.redacted.is_empty());
    match (&view.outcome, &record.outcome) {
        (OutcomeView::Answered(read), Outcome::Answered(written)) => {
            assert_eq!(&read.to_output(), *written);
        }
        (OutcomeView::Failed { code: read }, Outcome::Failed { code: written }) => {
            assert_eq!(read, written);
        }
        other => panic!("outcomes differ: {other:?}"),
    }
}

proptest! {
    #[test]
    fn every_record_reads_back_as_it_was_written(owned in owned()) {
        let record = owned.record();
        assert_same(&record, &RecordView::decode(&encoded(&record)).unwrap());
    }

    #[test]
    fn every_cut_and_every_appended_byte_is_refused(owned in owned(), extra in any::<u8>()) {
        let mut bytes = encoded(&owned.record());
        for len in 0..bytes.len() {
            prop_assert!(RecordView::decode(&bytes[..len]).is_err(), "cut to {len}");
        }
        bytes.push(extra);
        prop_assert_eq!(RecordView::decode(&bytes), Err(RecordError::Trailing));
    }

    #[test]
    fn bytes_that_decode_are_the_bytes_their_record_encodes_to(
        owned in owned(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&owned.record());
        for (at, with) in damage {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        let Ok(view) = RecordView::decode(&bytes) else { return Ok(()) };
        prop_assert_eq!(reencoded(&view), bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        let _ = RecordView::decode(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = RECORD_FORMAT;
        }
        let _ = RecordView::decode(&bytes);
    }
}

/// Writes a view down again; the views tested here blank nothing.
fn reencoded(view: &RecordView<'_>) -> Vec<u8> {
    let stand_ins: Vec<Vec<Option<String>>> = view
        .redacted
        .iter()
        .map(|f| f.stand_ins.iter().map(|t| t.map(str::to_owned)).collect())
        .collect();
    let nowhere = Slot {
        block: usize::MAX,
        offset: 0,
    };
    let redacted: Vec<Redacted<'_>> = view
        .redacted
        .iter()
        .zip(&stand_ins)
        .map(|(f, stand_ins)| Redacted {
            field: f.field,
            redaction: f.redaction,
            slot: nowhere,
            width: 0,
            stand_ins,
        })
        .collect();
    let output = match &view.outcome {
        OutcomeView::Answered(output) => output.to_output(),
        OutcomeView::Failed { .. } => Output::default(),
    };
    encoded(&PredictionRecord {
        head: view.head,
        input: &view.input.to_batch(),
        redacted: &redacted,
        outcome: match view.outcome {
            OutcomeView::Answered(_) => Outcome::Answered(&output),
            OutcomeView::Failed { code } => Outcome::Failed { code },
        },
    })
}

fn small(input: Batch) -> Owned {
    Owned {
        numbers: [1, 2, 3, 4, 5],
        at: 1_763_711_340_000_001,
        version_number: 7,
        latency_us: 214,
        texts: [None, None],
        header_request_id: "req_01".to_owned(),
        key: true,
        flags: [true, false, false],
        kept: Kept::Values,
        input,
        outcome: Err("timeout".to_owned()),
    }
}

fn people() -> Batch {
    let names = ["Ada", "Bo"].map(|name| Some(name.to_owned())).to_vec();
    Batch {
        rows: 2,
        columns: vec![
            Column {
                values: Values::Float64(vec![36.0, 1.5, 41.0, 2.5]),
                width: 2,
                shape: Vec::new(),
            },
            Column {
                values: Values::Text(names),
                width: 1,
                shape: Vec::new(),
            },
        ],
    }
}

fn hide(field: u32, block: usize, offset: usize, redaction: Redaction) -> Redacted<'static> {
    Redacted {
        field,
        redaction,
        slot: Slot { block, offset },
        width: 1,
        stand_ins: &[],
    }
}

#[test]
fn a_redacted_value_is_nowhere_in_the_bytes() {
    let owned = small(people());
    let masked = [Some("**a".to_owned()), None];
    let redacted = [
        hide(0, 0, 0, Redaction::Drop),
        hide(1, 0, 1, Redaction::Keep),
        Redacted {
            stand_ins: &masked,
            ..hide(2, 1, 0, Redaction::Mask { keep_last: 1 })
        },
    ];
    let bytes = encoded(&PredictionRecord {
        redacted: &redacted,
        ..owned.record()
    });
    assert!(!bytes.windows(8).any(|w| w == 36.0_f64.to_le_bytes()));
    assert!(!bytes.windows(3).any(|w| w == b"Ada"));

    let view = RecordView::decode(&bytes).unwrap();
    let batch = view.input.to_batch();
    let numbers = batch.f64_block(0).unwrap();
    assert!(numbers[0].is_nan() && numbers[2].is_nan());
    assert_eq!((numbers[1], numbers[3]), (1.5, 2.5));
    assert_eq!(batch.columns[1].values, Values::Text(vec![None, None]));
    assert_eq!(
        view.redacted,
        [
            RedactedView {
                field: 0,
                redaction: Redaction::Drop,
                stand_ins: vec![],
            },
            RedactedView {
                field: 2,
                redaction: Redaction::Mask { keep_last: 1 },
                stand_ins: vec![Some("**a"), None],
            },
        ]
    );
}

#[test]
fn every_element_type_can_be_blanked() {
    let types = [
        (Values::Float32(vec![1.0; 4]), Values::Float32(vec![1.0; 4])),
        (Values::Int64(vec![9; 4]), Values::Int64(vec![0, 9, 0, 9])),
        (
            Values::Bool(vec![true; 4]),
            Values::Bool(vec![false, true, false, true]),
        ),
    ];
    for (written, expected) in types {
        let owned = small(Batch {
            rows: 2,
            columns: vec![Column {
                values: written,
                width: 2,
                shape: Vec::new(),
            }],
        });
        let bytes = encoded(&PredictionRecord {
            redacted: &[hide(0, 0, 0, Redaction::Pseudonym)],
            ..owned.record()
        });
        let read = RecordView::decode(&bytes).unwrap().input.to_batch();
        if let Values::Float32(v) = &read.columns[0].values {
            assert!(v[0].is_nan() && v[2].is_nan());
            assert_eq!((v[1], v[3]), (1.0, 1.0));
        } else {
            assert_eq!(read.columns[0].values, expected);
        }
    }
}

#[test]
fn a_record_adds_115_bytes_to_its_thirty_numbers() {
    let owned = small(Batch {
        rows: 1,
        columns: vec![Column {
            values: Values::Float64(vec![1.0; 30]),
            width: 30,
            shape: Vec::new(),
        }],
    });
    assert_eq!(encoded(&owned.record()).len(), 30 * 8 + 115);
}

#[test]
fn what_no_encoder_writes_is_refused() {
    let good = encoded(&small(people()).record());
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        RecordView::decode(&bytes).map(|_| ())
    };
    assert_eq!(with(0, 2), Err(RecordError::Format(2)));
    // The version's number follows format, flags, three ids and a time.
    let number = 2 + 3 * 16 + 8;
    assert_eq!(good[number], 7);
    let mut longer = good.clone();
    longer[number] = 0x87;
    longer.insert(number + 1, 0);
    assert_eq!(
        RecordView::decode(&longer),
        Err(RecordError::Invalid("number"))
    );
}
