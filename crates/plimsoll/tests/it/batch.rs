//! Batch predictions: a file of rows, its answers and its mistakes.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Backend, Client, Options, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

use crate::golden::{serves_onnx, with_onnxruntime};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const NAMED: &str = "sklearn/1.5.2/iris_names.joblib";
const COLUMNS: &str = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)";
const CSV: &str = "text/csv";
const LINES: &str = "application/x-ndjson";
const FLOWERS: [[f64; 4]; 4] = [
    [5.1, 3.5, 1.4, 0.2],
    [6.2, 2.9, 4.3, 1.3],
    [7.7, 3.0, 6.1, 2.3],
    [4.9, 2.5, 4.5, 1.7],
];

fn small_chunks() -> Options {
    Options::new().settings(|settings| settings.predict.max_rows = 3)
}

fn little_room() -> Options {
    Options::new().settings(|settings| settings.jobs.batch_max_bytes = 2000)
}

async fn ann(s: &TestServer) -> Client {
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(IRIS)).await.status(201);
    ann.upload("named", fixture(NAMED)).await.status(201);
    ann
}

fn lines(rows: impl IntoIterator<Item = Value>) -> String {
    rows.into_iter().map(|row| format!("{row}\n")).collect()
}

fn csv(rows: &[[f64; 4]]) -> String {
    let row = |[a, b, c, d]: &[f64; 4]| format!("{a},{b},{c},{d}\r\n");
    let rows: String = rows.iter().map(row).collect();
    format!("{COLUMNS}\r\n{rows}")
}

fn id(accepted: &Reply) -> String {
    accepted.json()["job_id"].as_str().unwrap().to_owned()
}

/// The finished job of a file, and its result line by line.
async fn answered(client: &Client, accepted: Reply) -> (Value, Vec<Value>) {
    let id = id(&accepted.status(202));
    let job = client.job_with(&id, "succeeded").await;
    let result = client.get(&format!("/api/v1/jobs/{id}/result")).await;
    let text = result.status(200).text();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (job, rows.collect())
}

/// `row pointer code` of each mistake in a result.
fn mistakes(rows: &[Value]) -> Vec<String> {
    let of_row = |row: &Value| {
        let errors = row["errors"].as_array().cloned().unwrap_or_default();
        let number = row["row"].clone();
        let text = move |error: &Value| {
            let (pointer, code) = (error["pointer"].as_str(), error["code"].as_str());
            format!("{number} {} {}", pointer.unwrap(), code.unwrap())
        };
        errors.iter().map(text).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

backends! {
    /// F114
    #[options(small_chunks())]
    async fn each_row_is_answered_as_a_request_would_be(s: TestServer) {
        let ann = ann(&s).await;
        let mut expected = Vec::new();
        for flower in FLOWERS {
            expected.push(ann.predict("named", json!([flower])).await.status(200).json());
        }
        let as_lists = lines(FLOWERS.map(|row| json!(row)));
        let as_objects = lines(FLOWERS.map(|row| {
            COLUMNS.split(',').map(str::to_owned).zip(row.map(Value::from)).collect()
        }));
        for (rows, media_type) in [(csv(&FLOWERS), CSV), (as_lists, LINES), (as_objects, LINES)] {
            let accepted = ann.batch("named", rows, media_type).await.status(202);
            let body = accepted.json();
            assert_eq!((&body["status"], accepted.header("location")), (&json!("queued"), body["url"].as_str().unwrap()));
            assert!(body["estimated_completion"].is_string());
            let (job, rows) = answered(&ann, accepted).await;
            assert_eq!((&job["progress"], &job["done"], &job["total"]), (&json!(100), &json!(4), &json!(4)));
            assert_eq!((&job["result"]["rows"], &job["result"]["answered"], &job["result"]["refused"]), (&json!(4), &json!(4), &json!(0)));
            assert_eq!(job["result"]["classes"], expected[0]["classes"]);
            for (index, (row, expected)) in rows.iter().zip(&expected).enumerate() {
                assert_eq!(row["row"], index + 1);
                assert_eq!(row["prediction"], expected["predictions"][0]);
                assert_eq!(row["probabilities"], expected["probabilities"][0]);
            }
            assert_eq!(rows.len(), 4);
        }
    }

    /// F114
    #[options(small_chunks())]
    async fn a_row_that_does_not_fit_is_named_and_harms_no_other(s: TestServer) {
        let ann = ann(&s).await;
        let good = json!([5.1, 3.5, 1.4, 0.2]);
        let rows = lines([good.clone(), json!([1, 2, 3]), json!({"x0": "a", "x1": 1, "x2": 1, "x3": 1}), good.clone()]);
        let rows = format!("\u{feff}{rows}not json\n\n{good}");
        let (job, rows) = answered(&ann, ann.batch("iris", rows, LINES).await).await;
        assert_eq!((&job["result"]["answered"], &job["result"]["refused"]), (&json!(3), &json!(3)));
        assert_eq!(mistakes(&rows), ["2  wrong-length", "3 /x0 wrong-type", "5  malformed"]);
        let numbers: Vec<_> = rows.iter().map(|row| row["row"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        assert_eq!(rows[0]["prediction"], rows[5]["prediction"]);
        let table = format!("\u{feff}{COLUMNS}\r\n5.1,3.5,1.4,0.2\r\n\"5.1\",x,,0.2\r\n1,2,3\r\n\r\n5.1,3.5,1.4,0.2");
        let (_, rows) = answered(&ann, ann.batch("named", table, CSV).await).await;
        let expected = ["2 /sepal width (cm) wrong-type", "2 /petal length (cm) null-not-allowed", "3  wrong-length"];
        assert_eq!(mistakes(&rows), expected);
        assert_eq!(rows[0]["prediction"], rows[3]["prediction"]);
        assert_eq!(rows.len(), 4);
    }

    /// F114
    #[options(small_chunks())]
    async fn what_a_batch_predicted_is_in_the_history_and_is_counted(s: TestServer) {
        let ann = ann(&s).await;
        let key = ann.key(&[Scope::Predict]).await;
        let (job, rows) = answered(&key, key.batch("named", csv(&FLOWERS), CSV).await).await;
        s.recorded().await;
        let listed = ann.get("/api/v1/predictions?model=named").await.status(200).json();
        let items = listed["items"].as_array().unwrap();
        // Four rows in chunks of three.
        let rows_each: Vec<_> = items.iter().map(|item| item["rows"].as_u64().unwrap()).collect();
        assert_eq!(rows_each, [1, 3]);
        for item in items {
            assert_eq!((&item["api_key_id"], &item["request_id"]), (&job["api_key_id"], &job["id"]));
            assert!(rows.iter().any(|row| row["prediction_id"] == item["id"]));
        }
        let path = format!("/api/v1/models/{}", job["model_id"].as_str().unwrap());
        s.app().flush_usage().await.unwrap();
        assert_eq!(ann.get(&path).await.status(200).json()["prediction_count"], 2);
    }

    /// F114
    async fn a_file_comes_as_a_form_or_as_the_body_and_goes_to_a_version(s: TestServer) {
        let ann = ann(&s).await;
        ann.upload("named", fixture(NAMED)).await.status(201);
        let form = |name: &str| [Part::File("file", name.to_owned(), csv(&FLOWERS).into())];
        let path = "/api/v1/models/named/batch";
        let (job, _) = answered(&ann, ann.post(path).multipart(form("rows.CSV")).await).await;
        assert_eq!(job["result"]["model_version"], 2);
        let of_first = format!("{path}?version=1&format=csv&include_probabilities=false");
        let (job, rows) = answered(&ann, ann.post(&of_first).multipart(form("rows")).await).await;
        assert_eq!((&job["kind"], &job["result"]["model_version"]), (&json!("batch"), &json!(1)));
        assert_eq!(rows[0].get("probabilities"), None);
        let unknown = ann.post(path).multipart(form("rows")).await.status(422).problem("invalid-request");
        assert_eq!(unknown["errors"][0]["pointer"], "/format");
    }

    /// F114
    async fn a_result_is_a_table_too(s: TestServer) {
        let ann = ann(&s).await;
        let accepted = ann.batch("named", format!("{}oops,1,1,1\n", csv(&FLOWERS)), CSV).await;
        let id = id(&accepted);
        let (job, rows) = answered(&ann, accepted).await;
        let table = ann.get(&format!("/api/v1/jobs/{id}/result?format=csv")).await.status(200);
        assert!(table.header("content-type").starts_with("text/csv"));
        assert!(table.header("content-disposition").contains(&format!("{id}.csv")));
        let text = table.text();
        let table: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let first_class = job["result"]["classes"][0].to_string();
        assert_eq!(table[0][..6], ["row", "prediction", "prediction_id", "error_pointer", "error_code", "error_detail"]);
        assert_eq!(table[0][6], format!("probability_{}", first_class.trim_matches('"')));
        assert_eq!(table[1][0], "1");
        assert_eq!(table[1][6], rows[0]["probabilities"][0].to_string());
        assert_eq!(table[5][..5], ["5", "", "", "/sepal length (cm)", "wrong-type"]);
        assert_eq!(table.len(), 6);
    }

    async fn a_header_that_does_not_fit_fails_the_job_with_its_reason(s: TestServer) {
        let ann = ann(&s).await;
        for (header, reason) in [
            ("a,b,c,d", "no feature \"a\""),
            (&COLUMNS.replace(",petal width (cm)", ""), "no column \"petal width (cm)\""),
            (&format!("{COLUMNS},petal width (cm)"), "appears twice"),
        ] {
            let accepted = ann.batch("named", format!("{header}\n1,2,3,4\n"), CSV).await.status(202);
            let job = ann.job_with(&id(&accepted), "failed").await;
            assert_eq!(job["error"]["code"], "invalid-header");
            let message = job["error"]["message"].as_str().unwrap();
            assert!(message.contains(reason), "{message}");
            assert!(job["error"]["hint"].is_string());
        }
    }

    async fn a_file_for_nobodys_model_or_of_no_known_kind_is_refused(s: TestServer) {
        let ann = ann(&s).await;
        let bob = s.user("bob").await;
        bob.batch("iris", "[1,2,3,4]", LINES).await.status(404).problem("not-found");
        for media_type in ["application/json", "text/plain", "application/octet-stream", ""] {
            ann.batch("iris", "[1,2,3,4]", media_type).await.status(415).problem("unsupported-media-type");
        }
        let path = "/api/v1/models/iris/batch";
        let gzip = ann.post(path).body("x", CSV).header("content-encoding", "gzip");
        gzip.await.status(415).problem("unsupported-media-type");
        let empty = ann.batch("iris", "", CSV).await.status(422).problem("invalid-request");
        assert_eq!(empty["errors"][0]["pointer"], "/file");
        for (query, pointer) in [
            ("format=xml", "/format"),
            ("include_probabilities=maybe", "/include_probabilities"),
            ("rows=1", "/rows"),
        ] {
            let refused = ann.post(&format!("{path}?{query}")).body("[1,2,3,4]", LINES).await;
            let problem = refused.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer);
        }
        ann.post(&format!("{path}?version=9")).body("[1]", LINES).await.status(404).problem("not-found");
        let text = || Part::Text("note", "x".to_owned());
        let file = || Part::File("file", "rows.csv".to_owned(), b"x0\n1\n".to_vec());
        for (parts, pointer) in [
            (vec![text()], "/note"),
            (vec![file(), text()], "/note"),
        ] {
            let problem = ann.post(path).multipart(parts).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer);
        }
        let listed = ann.get("/api/v1/jobs").await.status(200).json();
        assert_eq!(listed["total"], 0, "nothing of that became a job");
    }

    #[options(little_room())]
    async fn a_file_beyond_the_limit_is_refused(s: TestServer) {
        let ann = ann(&s).await;
        let small = lines((0..50).map(|_| json!([1, 2, 3, 4])));
        let (_, rows) = answered(&ann, ann.batch("iris", small.clone(), LINES).await).await;
        assert_eq!(rows.len(), 50);
        let large = ann.batch("iris", small.repeat(5), LINES).await.status(413).problem("too-large");
        assert_eq!(large["limit"], 2000);
    }
}

/// F114: what fails together is halved until the rows that fail stand alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_on_which_the_model_fails_are_named_one_by_one() {
    let s = with_onnxruntime().start(Backend::Sqlite).await.unwrap();
    if !serves_onnx(&s).await {
        return;
    }
    let ann = s.user("ann").await;
    let lying = fixture("onnx/lying_width.onnx");
    ann.upload("lying", lying).await.status(201);
    let rows = lines((1..=5).map(|number| json!([f64::from(number)])));
    let (job, rows) = answered(&ann, ann.batch("lying", rows, LINES).await).await;
    let expected: Vec<_> = (1..=5)
        .map(|row| format!("{row}  prediction-failed"))
        .collect();
    assert_eq!(mistakes(&rows), expected);
    assert_eq!(job["result"]["refused"], 5);
    s.recorded().await;
    let failed = ann.get("/api/v1/predictions?status=failed").await;
    let failed = failed.status(200).json();
    assert_eq!(failed["items"].as_array().unwrap().len(), 5);
}
