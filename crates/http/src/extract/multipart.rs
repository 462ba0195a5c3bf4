//! `multipart/form-data`, part by part; a file is never whole in memory.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use multer::{Field, Multipart};
use plimsoll_core::field::FieldError;
use tokio::time::Instant;

use super::body;
use crate::config::Limits;
use crate::once::Fingerprint;
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// Longest part with rows of data, in bytes.
const LONG_TEXT: usize = 1 << 20;

/// A form that is being received.
#[derive(Debug)]
pub(crate) struct Form {
    parts: Multipart<'static>,
    /// What takes note of the content, if the request may be sent twice.
    fingerprint: Option<Fingerprint>,
    /// Longest part that is not a file, in bytes.
    text_limit: usize,
}

/// One part of a form, whose content has not been read yet.
#[derive(Debug)]
pub(crate) struct Part {
    /// The form field it belongs to.
    pub name: String,
    field: Field<'static>,
    text_limit: usize,
    fingerprint: Option<Fingerprint>,
}

/// A part that is read chunk by chunk.
#[derive(Debug)]
pub(crate) struct FilePart(Field<'static>, Option<Fingerprint>);

impl FromRequest<Wire> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        body::expect_identity(request.headers())?;
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(refused)?;
        let limits = &wire.config().limits;
        let fingerprint = request.extensions().get::<Fingerprint>().cloned();
        let stream = paced(request.into_body(), limits);
        Ok(Self {
            fingerprint,
            parts: Multipart::new(stream, boundary),
            text_limit: limits.control_body,
        })
    }
}

impl Form {
    /// The next part, in the order they were sent.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Problem> {
        let Some(field) = self.parts.next_field().await.map_err(refused)? else {
            return Ok(None);
        };
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().unwrap_or_default();
        note(
            self.fingerprint.as_ref(),
            format!("\n{name:?} {file_name:?}\n").as_bytes(),
        );
        Ok(Some(Part {
            fingerprint: self.fingerprint.clone(),
            name,
            field,
            text_limit: self.text_limit,
        }))
    }

    /// Reads what is left of the form and keeps nothing of it.
    pub(crate) async fn drain(mut self) -> Result<(), Problem> {
        while let Some(part) = self.next().await? {
            let mut file = part.into_file();
            while file.chunk().await?.is_some() {}
        }
        Ok(())
    }
}

impl Part {
    /// The content as text; 413 if it is longer than a control body may be.
    pub(crate) async fn text(self) -> Result<String, Problem> {
        let Self {
            name,
            mut field,
            text_limit,
            fingerprint,
        } = self;
        let mut content = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(refused)? {
            if content.len() + chunk.len() > text_limit {
                let detail = format!("the part {name} is larger than {text_limit} bytes");
                return Err(Problem::new(Kind::TooLarge, detail).limit(text_limit as u64));
            }
            note(fingerprint.as_ref(), &chunk);
            content.extend_from_slice(&chunk);
        }
        String::from_utf8(content).map_err(|_| {
            let error =
                FieldError::new(format!("/{name}"), "invalid-value", "the part is not UTF-8");
            Problem::invalid(vec![error])
        })
    }

    /// The content as text that may be longer: rows of data, up to 1 MiB.
    pub(crate) async fn long_text(mut self) -> Result<String, Problem> {
        self.text_limit = self.text_limit.max(LONG_TEXT);
        self.text().await
    }

    /// The content as a file.
    pub(crate) fn into_file(self) -> FilePart {
        FilePart(self.field, self.fingerprint)
    }
}

impl FilePart {
    /// What the client calls the file.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.0.file_name()
    }

    /// What the client says the file is.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.0.content_type().map(AsRef::as_ref)
    }

    /// The next piece of the file.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let chunk = self.0.chunk().await.map_err(refused)?;
        note(self.1.as_ref(), chunk.as_deref().unwrap_or_default());
        Ok(chunk)
    }
}

fn note(fingerprint: Option<&Fingerprint>, bytes: &[u8]) {
    if let Some(fingerprint) = fingerprint {
        fingerprint.add(bytes);
    }
}

/// A problem on its way through the multipart parser.
#[derive(Debug)]
pub(crate) struct Refused(pub(super) Problem);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.detail())
    }
}

impl StdError for Refused {}

/// How fast an upload is, judged window by window.
struct Pace {
    least_per_second: u64,
    window: Duration,
    began: Instant,
    bytes: u64,
}

impl Pace {
    /// Counts a chunk; an upload too slow over a whole window is refused, or a
    /// few thousand of them could hold every connection for days.
    fn count(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes += bytes as u64;
        let elapsed = self.began.elapsed();
        if elapsed < self.window {
            return Ok(());
        }
        let least = u128::from(self.least_per_second) * elapsed.as_millis() / 1000;
        if u128::from(self.bytes) < least {
            return Err(Refused(Problem::of(Kind::RequestTimeout)));
        }
        (self.began, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

/// The body as a stream that fails when it pauses or crawls.
pub(super) fn paced(
    body: Body,
    limits: &Limits,
) -> impl Stream<Item = Result<Bytes, Refused>> + Send + 'static {
    let pace = Pace {
        least_per_second: limits.upload_rate,
        window: limits.upload_window,
        began: Instant::now(),
        bytes: 0,
    };
    let idle = limits.body_idle;
    try_unfold((body, pace), move |(mut body, mut pace)| async move {
        let Some(chunk) = body::next_chunk(&mut body, idle).await.map_err(Refused)? else {
            return Ok(None);
        };
        pace.count(chunk.len())?;
        Ok(Some((chunk, (body, pace))))
    })
}

/// What the multipart parser refuses, as a problem.
fn refused(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<Refused>() {
            Ok(refused) => refused.0,
            Err(_) => Problem::new(
                Kind::MalformedRequest,
                "the body ended before it was complete",
            ),
        },
        multer::Error::NoMultipart | multer::Error::DecodeContentType(_) => Problem::new(
            Kind::UnsupportedMediaType,
            "the body has to be multipart/form-data",
        ),
        multer::Error::NoBoundary => Problem::new(
            Kind::MalformedRequest,
            "the Content-Type has no multipart boundary",
        ),
        _ => Problem::new(
            Kind::MalformedRequest,
            "the multipart body is cut off or malformed",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: Body, limits: &Limits) -> Form {
        Form {
            parts: Multipart::new(paced(body, limits), "b"),
            fingerprint: None,
            text_limit: 8,
        }
    }

    #[tokio::test]
    async fn parts_come_in_the_order_they_were_sent() {
        let body = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../x\"\r\n\r\nabc\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\niris\r\n--b--\r\n";
        let mut form = form(Body::from(body), &Limits::default());
        let file = form.next().await.unwrap().unwrap();
        assert_eq!(file.name, "file");
        let mut file = file.into_file();
        assert_eq!(file.file_name(), Some("../x"));
        assert_eq!(file.chunk().await.unwrap().unwrap(), "abc");
        assert!(file.chunk().await.unwrap().is_none());
        drop(file);
        let name = form.next().await.unwrap().unwrap();
        assert_eq!(name.name, "name");
        assert_eq!(name.text().await.unwrap(), "iris");
        assert!(form.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_cut_off_or_oversized_part_is_refused() {
        let head = "--b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\n";
        for (rest, expected) in [
            ("iri", Kind::MalformedRequest),
            ("123456789\r\n--b--", Kind::TooLarge),
        ] {
            let mut form = form(Body::from(format!("{head}{rest}")), &Limits::default());
            let part = form.next().await.unwrap().unwrap();
            assert_eq!(part.text().await.unwrap_err().kind(), expected, "{rest}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crawling_upload_is_cut() {
        let crawl = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let mut form = form(Body::from_stream(crawl), &Limits::default());
        assert_eq!(form.next().await.unwrap_err().kind(), Kind::RequestTimeout);
    }
}
