//! The body of an inference request: unpacked, and cut into JSON and binary data.

use std::io::Read;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use plimsoll_app::serving::Reuse;
use plimsoll_core::decode::{DecodeError, InferRequest};

use crate::extract::{read_body, reuse, too_large};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// How many bytes of a body, unpacked, are JSON.
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// The body of an inference request, of any or no content type.
#[derive(Debug)]
pub(super) struct Message {
    bytes: Bytes,
    json: usize,
    /// Whether an answer given before will do.
    pub(super) reuse: Reuse,
}

impl FromRequest<Wire> for Message {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let coding = Coding::of(&parts.headers)?;
        let packed = read_body(body, wire).await?;
        let bytes = coding.unpack(packed, wire.config().limits.predict_body)?;
        let json = json_length(&parts.headers)?.unwrap_or(bytes.len());
        let reuse = reuse(&parts.headers, wire);
        Ok(Self { bytes, json, reuse })
    }
}

impl Message {
    /// Its tensors.
    pub(super) fn request(&self) -> Result<InferRequest<'_>, Problem> {
        InferRequest::read(&self.bytes, self.json).map_err(|error| match error {
            DecodeError::Invalid(errors) => Problem::invalid(errors),
            other => Problem::new(Kind::MalformedJson, other.to_string()),
        })
    }
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let Some(value) = headers.get(JSON_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    match length {
        Some(0) => Err(refused(
            "a body without JSON is not accepted; describe its tensor in JSON before it",
        )),
        Some(length) => Ok(Some(length)),
        None => Err(refused(
            "the header Inference-Header-Content-Length has to be a number of bytes",
        )),
    }
}

/// How a body is packed.
#[derive(Clone, Copy)]
enum Coding {
    Identity,
    Gzip,
    /// The zlib format (RFC 9110 section 8.4.1.2).
    Deflate,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let (first, second) = (codings.next(), codings.next());
        let name = first.map_or(&b"identity"[..], |value| value.as_bytes());
        match (name.to_ascii_lowercase().as_slice(), second) {
            (b"identity", None) => Ok(Self::Identity),
            (b"gzip", None) => Ok(Self::Gzip),
            (b"deflate", None) => Ok(Self::Deflate),
            _ => Err(refused(
                "Content-Encoding has to be gzip, deflate or identity",
            )),
        }
    }

    /// The body itself, of at most `limit` bytes.
    fn unpack(self, packed: Bytes, limit: usize) -> Result<Bytes, Problem> {
        match self {
            Self::Identity => Ok(packed),
            Self::Gzip => unpacked(GzDecoder::new(&packed[..]), limit),
            Self::Deflate => unpacked(ZlibDecoder::new(&packed[..]), limit),
        }
    }
}

fn unpacked(stream: impl Read, limit: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut bounded = stream.take(limit as u64 + 1);
    bounded
        .read_to_end(&mut bytes)
        .map_err(|_| refused("the body is not packed as its Content-Encoding says"))?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes.into())
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(Kind::MalformedRequest, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn what_unpacks_to_more_than_the_limit_is_refused() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&vec![0; 100_000]).unwrap();
        let packed = Bytes::from(packer.finish().unwrap());
        let small = Coding::Gzip.unpack(packed.clone(), 99_999).unwrap_err();
        assert_eq!(small.kind(), Kind::TooLarge);
        let fits = Coding::Gzip.unpack(packed, 100_000).unwrap();
        assert_eq!(fits.len(), 100_000);
        let broken = Coding::Deflate.unpack(Bytes::from_static(b"no"), 10);
        assert_eq!(broken.unwrap_err().kind(), Kind::MalformedRequest);
    }
}
