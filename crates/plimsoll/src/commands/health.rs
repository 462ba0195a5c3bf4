//! `health`: asks a running server whether it is ready and how its parts are, for
//! containers, scripts and people. Ready with a degraded part is ready.
//!
//! One plain HTTP/1.1 request over TCP: the probe of a container runs in an
//! image without curl, beside the server, so it needs no TLS.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Cli;
use crate::client::address;
use crate::output::{Exit, Failure, Outcome, Output};

const TIMEOUT: Duration = Duration::from_secs(5);
/// An answer longer than this is not ours.
const MOST_BYTES: u64 = 64 * 1024;

pub(crate) fn run(cli: &Cli, url: Option<&str>, output: Output) -> Outcome {
    let url = address(cli, url)?;
    let Some(authority) = url.trim_end_matches('/').strip_prefix("http://") else {
        let text = format!("{url:?} cannot be asked");
        return Err(Failure::new(Exit::Usage, text)
            .next("give --url http://HOST:PORT, the address the server itself listens on"));
    };
    let unavailable = |text: String| {
        Failure::new(Exit::Unavailable, text).next("is `plimsoll serve` running, and there?")
    };
    let answer = ask(authority, "/health/ready")
        .map_err(|e| unavailable(format!("{url} does not answer: {e}")))?;
    let Some(status) = status_of(&answer) else {
        return Err(unavailable(format!("{url} does not speak HTTP")));
    };
    if status != 200 {
        return Err(unavailable(format!("{url} is not ready (status {status})")));
    }
    let health = ask(authority, "/health").ok().as_deref().and_then(body_of);
    let health = health.unwrap_or_default();
    output.data(
        format_args!("{url} is ready{}", parts(&health)),
        &json!({"url": url, "ready": true, "health": health}),
    );
    Ok(ExitCode::SUCCESS)
}

/// A line for each part, what is wrong with it included.
fn parts(health: &Value) -> String {
    let mut lines = String::new();
    for (name, part) in health["components"].as_object().into_iter().flatten() {
        let text = |member: &str| part[member].as_str().unwrap_or_default();
        let line = format!("\n  {name:<12} {:<10} {}", text("status"), text("detail"));
        lines.push_str(line.trim_end());
    }
    lines
}

/// The JSON behind the header.
fn body_of(answer: &[u8]) -> Option<Value> {
    let start = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&answer[start..]).ok()
}

fn ask(authority: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let with_port = if authority
        .rsplit(']')
        .next()
        .is_some_and(|rest| rest.contains(':'))
    {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut last = std::io::Error::other("the name has no address");
    for address in with_port.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => stream,
            Err(e) => {
                last = e;
                continue;
            }
        };
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut answer)?;
        return Ok(answer);
    }
    Err(last)
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_of_http_is_understood() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nx: y\r\n\r\n", Some(200)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
            ("SSH-2.0-OpenSSH_9.2\r\n", None),
            ("HTTP/1.1 ok", None),
            ("", None),
        ] {
            assert_eq!(status_of(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn each_part_has_a_line() {
        let answer = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"components\": {\"journal\": \
            {\"status\": \"degraded\", \"detail\": \"full\"}, \"cache\": {\"status\": \"healthy\"}}}";
        let health = body_of(answer).unwrap();
        let expected = "\n  cache        healthy\n  journal      degraded   full";
        assert_eq!(parts(&health), expected);
        assert_eq!(parts(&Value::Null), "");
    }
}
