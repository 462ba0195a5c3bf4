//! What the server answered, with the assertions every test needs.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// One answer, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    request: String,
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn read(request: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("the body arrives whole");
        Self {
            request,
            status,
            headers,
            body: body.to_vec(),
        }
    }

    /// Asserts the status.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "asserting a status is often all a test wants"
    )]
    #[track_caller]
    pub fn status(self, expected: u16) -> Self {
        assert_eq!(
            self.status,
            expected,
            "{} answered {} {}",
            self.request,
            self.status,
            self.text()
        );
        self
    }

    /// The status, for tests that compare it themselves.
    pub const fn code(&self) -> u16 {
        self.status
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value = serde_json::from_slice(&self.body);
        assert!(
            value.is_ok(),
            "{} did not answer JSON: {}",
            self.request,
            self.text()
        );
        value.unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// A header's value; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// All headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Asserts that this is the problem `slug`, with its media type and every
    /// mandatory member (RFC 9457 and our own), and gives its body.
    #[track_caller]
    pub fn problem(&self, slug: &str) -> Value {
        let about = format!("{} answered {} {}", self.request, self.status, self.text());
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{about}"
        );
        let body = self.json();
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("code"), slug, "{about}");
        assert_eq!(text("type"), format!("/problems/{slug}"), "{about}");
        assert_eq!(body["status"], self.status, "{about}");
        assert!(self.status >= 400, "{about}");
        for member in ["title", "detail", "instance", "request_id"] {
            assert!(!text(member).is_empty(), "{member} is missing: {about}");
        }
        assert!(text("instance").ends_with(&text("request_id")), "{about}");
        assert_eq!(self.header("x-request-id"), text("request_id"), "{about}");
        for error in body["errors"].as_array().into_iter().flatten() {
            for member in ["pointer", "code", "detail"] {
                assert!(
                    error[member].is_string(),
                    "errors[].{member} is missing: {about}"
                );
            }
        }
        body
    }
}
