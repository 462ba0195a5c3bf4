//! Files on their way: streamed up with their length, kept whole or not at all on
//! the way down.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::TryStreamExt;
use plimsoll_core::digest::{Digest, Hasher};
use reqwest::{Body, Response};
use tokio_util::io::ReaderStream;

use super::fresh_key;
use crate::output::{Exit, Failure, Output};

/// Read at a time.
const BLOCK: usize = 256 * 1024;

/// A file as the body of a request, and its length in bytes.
pub(crate) async fn body_of(path: &Path, output: Output) -> Result<(Body, u64), Failure> {
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| unreadable(path, &error))?;
    let known = file
        .metadata()
        .await
        .map_err(|error| unreadable(path, &error))?;
    let total = known.len();
    let mut bar = output.progress(&format!("sending {}", path.display()));
    let mut sent = 0;
    let stream = ReaderStream::with_capacity(file, BLOCK).inspect_ok(move |block| {
        sent += block.len() as u64;
        bar.show(sent, Some(total));
    });
    Ok((Body::wrap_stream(stream), total))
}

/// SHA-256 of a file.
pub(crate) fn digest_of(path: &Path) -> Result<Digest, Failure> {
    crate::serve::digest_of(path).map_err(|error| unreadable(path, &error))
}

/// A text file the command line names.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let text = format!("{} cannot be read: {error}", path.display());
    Failure::new(Exit::Data, text)
}

/// Where an answer is kept. The name is taken at the beginning and the content
/// appears under it at the end, whole; whoever fails before leaves nothing.
#[derive(Debug)]
pub(crate) struct Kept {
    target: PathBuf,
    part: PathBuf,
    file: File,
    is_ours: bool,
    is_whole: bool,
}

impl Kept {
    /// Takes the name; a file that is there is replaced only with `force`.
    pub(crate) fn at(target: &Path, force: bool) -> Result<Self, Failure> {
        let is_ours = match OpenOptions::new().write(true).create_new(true).open(target) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => false,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let text = format!("{} exists already", target.display());
                return Err(Failure::new(Exit::Data, text)
                    .next("--force replaces it, --output names another file"));
            }
            Err(error) => return Err(unwritable(target, &error)),
        };
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.part", fresh_key()));
        let part = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&part);
        let file = file.map_err(|error| {
            if is_ours {
                // The name was taken a moment ago and is given back.
                let _ = fs::remove_file(target);
            }
            unwritable(target, &error)
        })?;
        Ok(Self {
            target: target.to_owned(),
            part,
            file,
            is_ours,
            is_whole: false,
        })
    }

    /// Writes the body of an answer, which must have this digest if there is one.
    pub(crate) async fn fill(
        mut self,
        mut answer: Response,
        expected: Option<&str>,
        output: Output,
    ) -> Result<(), Failure> {
        let total = answer.content_length();
        let mut bar = output.progress(&format!("receiving {}", self.target.display()));
        let (mut hasher, mut received) = (Hasher::default(), 0);
        while let Some(block) = next_of(&mut answer).await? {
            hasher.update(&block);
            received += block.len() as u64;
            bar.show(received, total);
            self.file
                .write_all(&block)
                .map_err(|error| unwritable(&self.target, &error))?;
        }
        let digest = hasher.digest().to_string();
        if expected.is_some_and(|expected| expected != digest) {
            let text = format!("what arrived has the SHA-256 {digest}, which is not the model's");
            return Err(Failure::new(Exit::Unavailable, text)
                .next("it was damaged on the way and thrown away; try again"));
        }
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.part, &self.target))
            .map_err(|error| unwritable(&self.target, &error))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.is_whole {
            return;
        }
        // What cannot be removed is an empty or a partial file with a telling name.
        let _ = fs::remove_file(&self.part);
        if self.is_ours {
            let _ = fs::remove_file(&self.target);
        }
    }
}

/// Writes the body of an answer to standard output as it comes.
pub(crate) async fn print(mut answer: Response) -> Result<(), Failure> {
    while let Some(block) = next_of(&mut answer).await? {
        if !Output::bytes(&block) {
            break;
        }
    }
    Ok(())
}

async fn next_of(answer: &mut Response) -> Result<Option<Bytes>, Failure> {
    let block = answer.chunk().await;
    block.map_err(|error| {
        Failure::caused(Exit::Unavailable, &error.without_url())
            .about("the answer broke off")
            .next("try again")
    })
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let text = format!("{} cannot be written: {error}", path.display());
    Failure::new(Exit::NoPermission, text)
}
