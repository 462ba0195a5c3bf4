//! Decompression of joblib files, bounded in ratio and in size.
//!
//! joblib recognises its compressors by their first bytes
//! (`joblib/numpy_pickle_utils.py`, `_detect_compressor`); so does this module.

use std::borrow::Cow;
use std::io::Read;

use lzma_rust2::{LzmaReader, XzReader};

use crate::EngineError;
use crate::reader::{malformed, too_large};

/// Output that may be produced whatever the ratio.
const FREE_BYTES: u64 = 1 << 20;
/// Bytes of output per byte of input, above [`FREE_BYTES`].
const MAX_RATIO: u64 = 200;
/// Memory a decoder of xz or lzma may take: a dictionary of 64 MiB, which is the highest preset's.
const MEMORY_KIB: u32 = 96 << 10;
/// Decompressed bytes asked for at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// bzip2.
    Bzip2,
    /// The xz container.
    Xz,
    /// The older `.lzma` container.
    Lzma,
    /// An LZ4 frame.
    Lz4,
    /// A Zstandard frame (RFC 8878).
    Zstandard,
}

impl Compression {
    /// What the first bytes say.
    pub(crate) fn detect(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // RFC 1950, section 2.2: deflate with a 32 KiB window, no preset dictionary, and a
            // header divisible by 31.
            [0x78, flags, ..]
                if flags & 0x20 == 0 && (0x7800 + u16::from(*flags)).is_multiple_of(31) =>
            {
                Some(Self::Zlib)
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Some(Self::Xz),
            [0x5d, 0x00, 0x00, ..] => Some(Self::Lzma),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstandard),
            _ => None,
        }
    }
}

/// The content of a file that may be compressed; a plain one is borrowed.
///
/// Refuses output above `max_bytes`, and above 200 bytes per byte of input
/// once the output passes 1 MiB.
pub(crate) fn expand(bytes: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, EngineError> {
    let Some(compression) = Compression::detect(bytes) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let by_ratio = (bytes.len() as u64)
        .saturating_mul(MAX_RATIO)
        .max(FREE_BYTES);
    let limit = by_ratio.min(max_bytes as u64);
    let expanded = match compression {
        Compression::Gzip => drain(flate2::read::MultiGzDecoder::new(bytes), limit),
        Compression::Zlib => drain(flate2::read::ZlibDecoder::new(bytes), limit),
        Compression::Bzip2 => drain(bzip2::read::MultiBzDecoder::new(bytes), limit),
        Compression::Xz => drain(XzReader::new_mem_limit(bytes, true, MEMORY_KIB), limit),
        Compression::Lzma => match LzmaReader::new_mem_limit(bytes, MEMORY_KIB, None) {
            Ok(decoder) => drain(decoder, limit),
            Err(error) => Err(broken(&error)),
        },
        Compression::Lz4 => Err(unserved("lz4")),
        Compression::Zstandard => Err(unserved("Zstandard")),
    }?;
    Ok(Cow::Owned(expanded))
}

fn drain(mut decoder: impl Read, limit: u64) -> Result<Vec<u8>, EngineError> {
    let mut content = Vec::new();
    loop {
        let before = content.len();
        let mut chunk = decoder.by_ref().take(CHUNK_BYTES as u64);
        chunk
            .read_to_end(&mut content)
            .map_err(|error| broken(&error))?;
        if content.len() == before {
            return Ok(content);
        }
        if content.len() as u64 > limit {
            return Err(too_large(format!("it expands to more than {limit} bytes")));
        }
    }
}

fn broken(error: &std::io::Error) -> EngineError {
    if error.kind() == std::io::ErrorKind::OutOfMemory {
        return too_large(format!("unpacking it takes more than {MEMORY_KIB} KiB"));
    }
    malformed(format!("its compressed content breaks off: {error}"))
}

fn unserved(name: &str) -> EngineError {
    EngineError::Unsupported {
        what: format!("a file compressed with {name}"),
        advice: "save it again with joblib.dump(model, \"model.joblib\", compress=(\"gzip\", 3))"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_content_is_borrowed() {
        assert!(matches!(
            expand(b"\x80\x04.", 10).unwrap(),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn compressed_content_comes_back_whole() {
        let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(expand(&gzip(&content), 1 << 30).unwrap(), content);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&content).unwrap();
        assert_eq!(expand(&zlib.finish().unwrap(), 1 << 30).unwrap(), content);
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&content).unwrap();
        assert_eq!(expand(&bz.finish().unwrap(), 1 << 30).unwrap(), content);
    }

    #[test]
    fn a_bomb_is_refused_by_ratio_and_by_size() {
        let bomb = gzip(&vec![0; 32 << 20]);
        assert!(matches!(
            expand(&bomb, 1 << 30),
            Err(EngineError::TooLarge { .. })
        ));
        let modest = gzip(b"some content of a modest size");
        assert!(matches!(
            expand(&modest, 8),
            Err(EngineError::TooLarge { .. })
        ));
    }

    #[test]
    fn compression_that_is_not_served_is_named() {
        for (bytes, name) in [
            (b"\x04\x22\x4d\x18rest", "lz4"),
            (b"\x28\xb5\x2f\xfdrest", "Zstandard"),
        ] {
            let error = expand(bytes, 100).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
