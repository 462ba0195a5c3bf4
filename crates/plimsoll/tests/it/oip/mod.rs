//! The Open Inference Protocol: tensors in and out, errors, repository, official client.

mod client;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const NAMED: &str = "sklearn/1.5.2/iris_names.joblib";
const TEXT: &str = "sklearn/1.5.2/iris_text.pkl";
const FLOWERS: [[f64; 4]; 2] = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.5, 4.9, 1.5]];

async fn infer(client: &Client, model: &str, body: &Value) -> Reply {
    let path = format!("/v2/models/{model}/infer");
    client.post(&path).json(body).await
}

/// One tensor of all features.
fn matrix(data: &Value) -> Value {
    json!({"name": "inputs", "shape": [2, 4], "datatype": "FP64", "data": data})
}

/// The sentence of an error.
#[track_caller]
fn error(reply: Reply, status: u16) -> String {
    let body = reply.status(status).json();
    let members = body.as_object().unwrap();
    assert_eq!(members.len(), 1, "{body}");
    members["error"].as_str().unwrap().to_owned()
}

/// JSON, and the bytes behind it.
async fn infer_binary(client: &Client, json: &Value, binary: &[u8]) -> Reply {
    let mut body = serde_json::to_vec(json).unwrap();
    let length = body.len().to_string();
    body.extend_from_slice(binary);
    let request = client.post("/v2/models/iris/infer");
    let request = request.header("inference-header-content-length", &length);
    request.body(body, "application/octet-stream").await
}

backends! {
    /// F116
    async fn tensors_are_answered_like_rows(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        ann.upload("named", fixture(NAMED)).await.status(201);
        let rows = ann.predict("iris", json!(FLOWERS)).await.status(200).json();
        let expected: Vec<&Value> = rows["probabilities"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap()).collect();
        let flat: Vec<f64> = FLOWERS.concat();
        let column = |at: usize| json!(FLOWERS.map(|flower| flower[at]));
        let named = |names: [&str; 4]| {
            let tensors = names.iter().enumerate();
            let tensor = |(at, name): (usize, &&str)| json!({"name": name, "shape": [2], "datatype": "FP64", "data": column(at)});
            tensors.map(tensor).collect::<Vec<_>>()
        };
        for (model, inputs) in [
            ("iris", json!([matrix(&json!(flat))])),
            ("iris", json!([matrix(&json!(FLOWERS))])),
            ("iris", json!(named(["x0", "x1", "x2", "x3"]))),
            ("named", json!([matrix(&json!(flat))])),
            ("named", json!(named(["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]))),
        ] {
            let key = ann.key(&[Scope::Predict]).await;
            let got = infer(&key, model, &json!({"id": "row 7", "inputs": inputs})).await.status(200).json();
            assert_eq!((&got["model_name"], &got["model_version"], &got["id"]), (&json!(model), &json!("1"), &json!("row 7")));
            let own = if model == "iris" { (json!("INT64"), json!([0, 1])) } else { (json!("BYTES"), json!(["setosa", "versicolor"])) };
            let predictions = json!({"name": "predictions", "datatype": own.0, "shape": [2], "data": own.1});
            let probabilities = json!({"name": "probabilities", "datatype": "FP64", "shape": [2, 3], "data": expected});
            assert_eq!(got["outputs"], json!([predictions, probabilities]), "{inputs}");
        }
        s.recorded().await;
        let log = ann.get("/api/v1/predictions?model=iris").await.status(200).json();
        assert_eq!(log["items"].as_array().unwrap().len(), 4);
        assert_eq!(log["items"][0]["request_id"], "row 7");
    }

    /// F116
    async fn binary_data_goes_both_ways(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let binary: Vec<u8> = FLOWERS.concat().iter().flat_map(|number| number.to_le_bytes()).collect();
        let input = json!({"name": "a", "shape": [2, 4], "datatype": "FP64", "parameters": {"binary_data_size": 64}});
        let wanted = json!([
            {"name": "probabilities", "parameters": {"binary_data": false}},
            {"name": "predictions"},
        ]);
        let all = json!({"inputs": [input], "outputs": wanted, "parameters": {"binary_data_output": true}});
        let reply = infer_binary(&ann, &all, &binary).await.status(200);
        let length: usize = reply.header("inference-header-content-length").parse().unwrap();
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        let (json, labels) = reply.bytes().split_at(length);
        let json: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["outputs"][0]["data"].as_array().unwrap().len(), 6);
        assert_eq!(json["outputs"][1]["parameters"], json!({"binary_data_size": 16}));
        assert_eq!(labels, [0_i64.to_le_bytes(), 1_i64.to_le_bytes()].concat());
        for (bytes, message) in [(&binary[..63], "cut off"), (&[&binary[..], b"x"].concat()[..], "belong to none")] {
            let refused = error(infer_binary(&ann, &all, bytes).await, 400);
            assert!(refused.contains(message), "{refused}");
        }
    }

    /// F116
    async fn each_mistake_is_named_in_the_protocols_own_words(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let tensor = |name: &str, shape: Value, datatype: &str, data: Value| {
            json!({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}]})
        };
        for (body, message) in [
            (json!({}), "the request has no \"inputs\""),
            (json!({"inputs": 7}), "/inputs is not what the protocol has there, expected list of tensors, got number"),
            (tensor("a", json!([1, 4]), "FP64", json!([1, 2, 3])), "tensor \"a\" (FP64) does not fit, expected 4 elements for shape [1, 4], got 3 elements"),
            (tensor("a", json!([1, 4]), "FP64", json!([[1, 2, 3], [4]])), "expected shape [1, 4], got a list of 3 at depth 1"),
            (tensor("a", json!([1, 4]), "FP64", json!([1, 2, "3", 4])), "element 2 of tensor \"a\" (FP64) does not fit, expected FP64, got string"),
            (tensor("a", json!([1, 4]), "BYTES", json!(["1", "2", "3", "4"])), "expected number, got string"),
            (tensor("a", json!([1, 4]), "UINT8", json!([1, 2, 3, 256])), "element 3 of tensor \"a\" (UINT8) does not fit, expected UINT8"),
            (tensor("a", json!([1, 3]), "FP64", json!([1, 2, 3])), "the model has no input \"a\""),
            (tensor("x0", json!([1]), "FP64", json!([1])), "there is no tensor for the input \"x1\""),
            (tensor("x0", json!([1, 2]), "FP64", json!([1, 2])), "expected shape [-1], got shape [1, 2]"),
            (tensor("a", json!([-1, 4]), "FP64", json!([1, 2, 3, 4])), "negative or far too large"),
            (tensor("a", json!([i64::MAX, i64::MAX]), "FP64", json!([])), "negative or far too large"),
            (tensor("a", json!([0, 4]), "FP64", json!([])), "expected at least 1 row"),
            (tensor("a", json!([1, 4]), "FP128", json!([1, 2, 3, 4])), "tensor \"a\" has an unknown datatype"),
            (tensor("a", json!("hunter2"), "FP64", json!([1, 2, 3, 4])), "expected list of integers, got string"),
        ] {
            let refused = error(infer(&ann, "iris", &body).await, 400);
            assert!(refused.contains(message) && !refused.contains("hunter2"), "{body} answered {refused}");
        }
        let mut body = tensor("a", json!([1, 4]), "FP64", json!([1, 2, 3, 4]));
        body["outputs"] = json!([{"name": "logits"}]);
        let refused = error(infer(&ann, "iris", &body).await, 400);
        assert_eq!(refused, "the model has no output \"logits\", expected predictions, probabilities");
        let many = tensor("a", json!([1001, 4]), "FP64", json!([]));
        assert!(error(infer(&ann, "iris", &many).await, 413).contains("at most 1000 rows"));
    }

    /// F116
    #[options(Options::new().limits())]
    async fn every_error_under_v2_is_in_the_protocols_form(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let feedback = ann.key(&[Scope::Feedback]).await;
        let anyone = s.anonymous();
        for (reply, status) in [
            (anyone.get("/v2/models/iris").await, 401),
            (feedback.get("/v2/models/iris").await, 403),
            (ann.get("/v2/models/none").await, 404),
            (ann.get("/v2/models/iris/versions/9/ready").await, 404),
            (ann.get("/v2/none").await, 404),
            (ann.delete("/v2/models/iris").await, 405),
            (ann.post("/v2/models/iris/infer").body("{", "application/json").await, 400),
            (ann.post("/v2/models/iris/infer").body("{}", "text/plain").header("content-encoding", "br").await, 400),
            (ann.get("/v2/models/iris?api_key=1").await, 400),
            (ann.post("/v2/repository/models/iris/load").json(&json!({"parameters": {"config": "{}"}})).await, 400),
        ] {
            assert_eq!(reply.header("content-type"), "application/json");
            error(reply, status);
        }
        let limited = json!({"name": "one", "scopes": ["predict"], "rate_limit": 1});
        let key = ann.key_with(&limited).await;
        key.get("/v2/models/iris").await.status(200);
        let refused = key.get("/v2/models/iris").await;
        assert!(!refused.header("retry-after").is_empty());
        error(refused, 429);
    }

    /// F116
    async fn metadata_says_what_a_model_takes_and_answers(s: TestServer) {
        let ann = s.user("ann").await;
        for (name, file) in [("iris", IRIS), ("named", NAMED), ("text", TEXT)] {
            ann.upload(name, fixture(file)).await.status(201);
        }
        let about = async |model: &str| ann.get(&format!("/v2/models/{model}")).await.status(200).json();
        let iris = about("iris").await;
        assert_eq!((&iris["name"], &iris["versions"], &iris["platform"]), (&json!("iris"), &json!(["1"]), &json!("plimsoll_sklearn-joblib")));
        assert_eq!(iris["inputs"], json!([{"name": "inputs", "datatype": "FP64", "shape": [-1, 4]}]));
        let probabilities = json!({"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]});
        let of = |datatype: &str| json!([{"name": "predictions", "datatype": datatype, "shape": [-1]}, probabilities]);
        assert_eq!(iris["outputs"], of("INT64"));
        let named = about("named").await;
        assert_eq!(named["inputs"][0], json!({"name": "sepal length (cm)", "datatype": "FP64", "shape": [-1]}));
        assert_eq!(about("text").await["outputs"], of("BYTES"));
        assert_eq!(ann.get("/v2/models").await.status(200).json(), json!({"models": ["iris", "named", "text"]}));
        let server = s.anonymous().get("/v2").await.status(200).json();
        assert_eq!(server["extensions"], json!(["binary_tensor_data", "model_repository"]));
        assert_eq!(s.anonymous().get("/v2/health/ready").await.status(200).json(), json!({"ready": true}));
        assert_eq!(s.anonymous().get("/v2/health/live").await.status(200).json(), json!({"live": true}));
    }

    /// F116
    async fn an_endpoint_answers_under_its_name_unless_a_model_has_it(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        ann.upload("text", fixture(TEXT)).await.status(201);
        for name in ["live", "text"] {
            let deploy = json!({"model": "iris", "name": name});
            ann.post("/api/v1/endpoints").json(&deploy).await.status(201);
        }
        let body = json!({"inputs": [matrix(&json!(FLOWERS))]});
        let answer = infer(&ann, "live", &body).await.status(200).json();
        assert_eq!((&answer["model_name"], &answer["parameters"]["endpoint"]), (&json!("iris"), &json!("live")));
        let answer = infer(&ann, "text", &body).await.status(200).json();
        assert_eq!((&answer["model_name"], &answer["parameters"]["endpoint"]), (&json!("text"), &Value::Null));
        assert_eq!(ann.get("/v2/models/live/ready").await.status(200).json(), json!({"name": "iris", "ready": true}));
    }

    /// F116
    async fn the_repository_is_listed_loaded_and_let_go_of(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        ann.upload("iris", fixture(TEXT)).await.status(201);
        let index = ann.post("/v2/repository/index").await.status(200).json();
        let of = |version: &str| json!({"name": "iris", "version": version, "state": "READY", "reason": ""});
        assert_eq!(index, json!([of("1"), of("2")]));
        let unload = json!({"parameters": {"unload_dependents": false}});
        assert!(ann.post("/v2/repository/models/iris/load").json(&json!({})).await.status(200).bytes().is_empty());
        ann.post("/v2/repository/models/iris/unload").json(&unload).await.status(200);
        let body = json!({"inputs": [matrix(&json!(FLOWERS))]});
        let answer = infer(&ann, "iris", &body).await.status(200).json();
        assert_eq!(answer["outputs"][0]["datatype"], "BYTES");
        let write = ann.key(&[Scope::Write]).await;
        error(write.post("/v2/repository/models/iris/load").await, 403);
    }
}
