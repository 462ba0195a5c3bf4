//! Every committed model answers what scikit-learn answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::schema::{ClassLabel, DataType};
use plimsoll_core::time::{ManualClock, Monotonic, SystemClock, Timestamp};
use plimsoll_engine::{Control, EngineError, Opened, Stop};

use crate::files::{self, Case};

/// The largest difference that is accepted, relative to values above 1.
const TOLERANCE: f64 = 1e-12;

fn numbers(output: &Output) -> &[f64] {
    match output.values.first() {
        Some(column) => column.values.as_f64().unwrap(),
        None => &output.probabilities,
    }
}

fn largest_difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let differences = got.iter().zip(expected);
    differences
        .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
        .fold(0.0, f64::max)
}

fn load(folder: &std::path::Path, case: &Case) -> (Opened, Batch, Vec<f64>) {
    let opened = files::open(&std::fs::read(folder.join(&case.file)).unwrap()).unwrap();
    let (shape, inputs) =
        files::npy(files::folder().join(format!("sklearn/inputs_{}.npy", case.inputs)));
    let batch = files::batch(&opened, &inputs, shape[1]);
    let (_, expected) = files::npy(folder.join(&case.expected));
    (opened, batch, expected)
}

#[test]
fn every_model_answers_what_its_library_answered() {
    for (folder, manifest) in files::manifests() {
        assert!(manifest.cases.len() >= 30, "{}", manifest.version);
        for case in &manifest.cases {
            let name = format!("{} {}", manifest.version, case.file);
            let (opened, batch, expected) = load(&folder, case);
            let output = files::predict(&opened, &batch).unwrap();
            assert_eq!(output.rows, batch.rows, "{name}");
            assert_eq!(output.labels, case.labels, "{name}");
            let difference = largest_difference(numbers(&output), &expected);
            assert!(difference <= TOLERANCE, "{name}: {difference:e}");
            let trees = ["tree", "forest", "extra", "leaves", "stump", "weighted"];
            if trees.iter().any(|word| case.file.contains(word)) && !case.file.contains("scaled") {
                assert_eq!(difference, 0.0, "{name}: trees are exact to the last bit");
            }
        }
    }
}

#[test]
fn one_row_at_a_time_gives_the_same_bits_as_all_rows_at_once() {
    for (folder, manifest) in files::manifests() {
        for case in &manifest.cases {
            let (opened, batch, _) = load(&folder, case);
            let together = files::predict(&opened, &batch).unwrap();
            let width = batch.columns[0].width;
            let clock = SystemClock::new();
            let mut output = Output::default();
            let (mut labels, mut values) = (Vec::new(), Vec::new());
            for row in batch.f64_block(0).unwrap().chunks(width) {
                let one = files::batch(&opened, row, width);
                let control = Control::unlimited(&clock);
                opened
                    .predictor
                    .predict(&one, &mut output, &control)
                    .unwrap();
                labels.extend_from_slice(&output.labels);
                values.extend_from_slice(numbers(&output));
            }
            assert_eq!(labels, together.labels, "{}", case.file);
            assert_eq!(values, numbers(&together), "{}", case.file);
        }
    }
}

#[test]
fn schemas_carry_the_names_classes_and_missing_values_of_the_fit() {
    for (folder, manifest) in files::manifests() {
        for case in &manifest.cases {
            let name = format!("{} {}", manifest.version, case.file);
            let (opened, batch, _) = load(&folder, case);
            let schema = opened.predictor.schema();
            let names: Vec<_> = schema
                .inputs()
                .iter()
                .map(|field| field.name.clone())
                .collect();
            let expected = case.features.clone();
            let default = (0..names.len()).map(|index| format!("x{index}")).collect();
            assert_eq!(names, expected.unwrap_or(default), "{name}");
            assert_eq!(schema.blocks().len(), 1, "{name}");
            assert_eq!(
                schema.blocks()[0].width,
                Some(batch.columns[0].width),
                "{name}"
            );
            assert!(
                schema
                    .inputs()
                    .iter()
                    .all(|field| field.data_type == DataType::Float64)
            );
            let classes = serde_json::to_value(&schema.classes).unwrap();
            assert_eq!(
                classes,
                serde_json::Value::Array(case.classes.clone()),
                "{name}"
            );
            if case.missing {
                assert!(schema.inputs().iter().all(|field| field.nullable), "{name}");
            }
        }
    }
}

#[test]
fn class_labels_keep_their_type() {
    let classes = |file: &str| {
        files::open(&files::newest(file))
            .unwrap()
            .predictor
            .schema()
            .classes
            .clone()
    };
    assert_eq!(
        classes("cancer_bool.pkl"),
        [ClassLabel::Bool(false), ClassLabel::Bool(true)]
    );
    assert_eq!(
        classes("iris_float.pkl"),
        [
            ClassLabel::Float(0.0),
            ClassLabel::Float(2.0),
            ClassLabel::Float(4.0)
        ]
    );
    assert_eq!(classes("wine_extra.joblib.z")[0], ClassLabel::Int(-1));
    for file in ["iris_text.pkl", "iris_names.joblib"] {
        assert_eq!(
            classes(file)[2],
            ClassLabel::Text("virginica".into()),
            "{file}"
        );
    }
}

#[test]
fn a_description_names_the_nesting_the_library_and_the_format() {
    let cases = [
        (
            "cancer_nested.joblib",
            "sklearn-joblib",
            "Pipeline(Pipeline(StandardScaler, passthrough), passthrough, StandardScaler, LogisticRegression)",
        ),
        (
            "iris_forest_p4.pkl",
            "sklearn-pickle",
            "RandomForestClassifier",
        ),
        (
            "wine_extra.joblib.z",
            "sklearn-joblib",
            "ExtraTreesClassifier",
        ),
    ];
    for (file, format, algorithm) in cases {
        let description = files::open(&files::newest(file)).unwrap().description;
        assert_eq!(description.format, format, "{file}");
        assert_eq!(description.algorithm, algorithm, "{file}");
        let library = description.library.unwrap();
        assert!(library.starts_with("scikit-learn 1."), "{library}");
    }
}

#[test]
fn a_value_the_model_cannot_use_is_refused_by_row_and_name() {
    let linear = files::open(&files::newest("iris_names.joblib")).unwrap();
    let trees = files::open(&files::newest("cancer_forest_missing.joblib")).unwrap();
    let good = [1.0; 60];
    let cases = [
        (&linear, 4, 5, f64::NAN, "sepal width (cm)"),
        (&linear, 4, 6, f64::INFINITY, "petal length (cm)"),
        (&trees, 30, 31, f64::NEG_INFINITY, "x1"),
        (&trees, 30, 32, 1e300, "float32"),
    ];
    for (opened, width, at, value, named) in cases {
        let mut rows = good[..width * 2].to_vec();
        rows[at] = value;
        let refusal = files::predict(opened, &files::batch(opened, &rows, width)).unwrap_err();
        let EngineError::Input { detail } = refusal else {
            panic!("{refusal}");
        };
        assert!(
            detail.contains(named) && detail.contains("row 1"),
            "{detail}"
        );
    }
    let mut rows = good.to_vec();
    rows[3] = f64::NAN;
    assert!(files::predict(&trees, &files::batch(&trees, &rows, 30)).is_ok());
}

#[test]
fn a_prediction_nobody_waits_for_is_stopped() {
    let opened = files::open(&files::newest("cancer_forest.joblib")).unwrap();
    let batch = files::batch(&opened, &vec![0.0; 30 * 200], 30);
    let clock = ManualClock::new(Timestamp::from_micros(0));
    let cancelled = AtomicBool::new(false);
    let control = Control::new(&clock, Monotonic::from_nanos(1_000), &cancelled);
    let mut output = Output::default();
    opened
        .predictor
        .predict(&batch, &mut output, &control)
        .unwrap();
    assert_eq!(output.rows, 200);
    cancelled.store(true, Ordering::Relaxed);
    let stopped = opened.predictor.predict(&batch, &mut output, &control);
    assert!(matches!(
        stopped,
        Err(EngineError::Stopped(Stop::Cancelled))
    ));
    cancelled.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_micros(1));
    let stopped = opened.predictor.predict(&batch, &mut output, &control);
    assert!(matches!(stopped, Err(EngineError::Stopped(Stop::Deadline))));
}

#[test]
fn a_batch_of_another_shape_and_an_empty_one_are_answered() {
    let opened = files::open(&files::newest("iris_forest_p5.pkl")).unwrap();
    let empty = files::predict(&opened, &files::batch(&opened, &[], 4)).unwrap();
    assert_eq!((empty.rows, empty.labels.len()), (0, 0));
    let mut short = files::batch(&opened, &[0.0; 8], 4);
    short.rows = 3;
    assert!(matches!(
        files::predict(&opened, &short),
        Err(EngineError::Input { .. })
    ));
}
