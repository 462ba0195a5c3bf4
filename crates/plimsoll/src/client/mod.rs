//! The command line as a client of a running server: where it is, who asks, and
//! one request with its repetitions.
//!
//! The key comes from PLIMSOLL_API_KEY only: an argument would be seen by everybody
//! who lists processes.

mod refusal;
mod transfer;

use std::time::Duration;

use plimsoll_core::entropy::{Entropy, SystemEntropy};
use plimsoll_core::secret::Secret;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Method, Request, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::cli::Cli;
use crate::commands::version::VERSION;
use crate::config::load;
use crate::output::{Exit, Failure, Output};

pub(crate) use transfer::{Kept, body_of, digest_of, print, text_of};

/// Name of the header that makes a repetition harmless.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header of an answer that was given before.
pub(crate) const REPLAYED: &str = "idempotency-replayed";

const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of a server that is at work; loading a large model takes a while.
const SILENCE: Duration = Duration::from_mins(5);
/// How often a request is sent again.
const REPETITIONS: u32 = 3;
/// Longest pause that is waited for; a longer one is told instead.
const LONGEST_PAUSE_S: u64 = 60;
/// Pause after an answer was lost.
const AFTER_LOSS: Duration = Duration::from_secs(1);
const PAGE_SIZE: usize = 100;

/// A server and whoever asks it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<Secret<String>>,
    output: Output,
}

/// Where the server is: the option, PLIMSOLL_URL, or the address that is configured here.
pub(crate) fn address(cli: &Cli, url: Option<&str>) -> Result<String, Failure> {
    let sources = cli.sources();
    let named = url.or_else(|| sources.environment.get("PLIMSOLL_URL").map(String::as_str));
    if let Some(url) = named {
        return Ok(url.to_owned());
    }
    let (config, _) = load(&sources)?;
    let mut server = config.server;
    // The public address may be a proxy's; from here the server itself is asked.
    server.base_url = None;
    Ok(server.url(server.listen))
}

/// A value for the header `Idempotency-Key` that was never used before.
pub(crate) fn fresh_key() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

impl Client {
    /// A client of the server that was named.
    pub(crate) fn new(cli: &Cli, url: Option<&str>, output: Output) -> Result<Self, Failure> {
        let text = address(cli, url)?;
        let base = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("{text:?} is no address of a server"))
                .next("give --url http://HOST:PORT or https://HOST")
        })?;
        let http = reqwest::Client::builder()
            .user_agent(format!("plimsoll/{VERSION}"))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A key is not carried to wherever a redirect points.
            .redirect(Policy::none())
            .build()
            .map_err(|error| Failure::caused(Exit::Software, &error))?;
        let environment = cli.sources().environment;
        let key = environment
            .get("PLIMSOLL_API_KEY")
            .filter(|key| !key.is_empty());
        Ok(Self {
            http,
            base,
            key: key.map(|key| Secret::new(key.trim().to_owned())),
            output,
        })
    }

    /// How this client talks to people.
    pub(crate) const fn output(&self) -> Output {
        self.output
    }

    /// The answer of a GET as JSON.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let answer = self
            .answer(async || self.request(Method::GET, path, query))
            .await?;
        self.json(answer).await
    }

    /// The answer of a change as JSON; null if there is none. A POST is sent with a
    /// key of its own, so that it is done once even if its answer is lost.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let key = fresh_key();
        let answer = self
            .answer(async || {
                let mut request = self.request(method.clone(), path, &[])?;
                if method == Method::POST {
                    request = request.header(IDEMPOTENCY_KEY, &key);
                }
                Ok(match body {
                    Some(body) => request.json(body),
                    None => request,
                })
            })
            .await?;
        self.json(answer).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, Failure> {
        let size = PAGE_SIZE.to_string();
        let mut items = Vec::new();
        for number in 1_u32.. {
            let number = number.to_string();
            let mut query = query.to_vec();
            query.extend([("page", number.as_str()), ("page_size", size.as_str())]);
            let mut page = self.get(path, &query).await?;
            let Some(found) = page["items"].as_array_mut() else {
                break;
            };
            let last = found.len() < PAGE_SIZE;
            items.append(found);
            if last {
                break;
            }
        }
        Ok(items)
    }

    /// A request under `/api/v1`, in the name of whoever asks.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, Failure> {
        // These would climb to another route.
        if let Some(part) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::new(Exit::Usage, format!("{part:?} is no name")));
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        })
    }

    /// Sends what `make` makes until it is answered. It is made anew for each
    /// repetition: when the server asks to come back, and when an answer was lost
    /// to a request that may be sent twice.
    pub(crate) async fn answer(
        &self,
        make: impl AsyncFn() -> Result<RequestBuilder, Failure>,
    ) -> Result<Response, Failure> {
        let mut left = REPETITIONS;
        loop {
            let request = make().await?.build().map_err(|error| wrong_key(&error))?;
            let harmless = is_harmless(&request);
            let sent = self.http.execute(request).await;
            let (pause, why) = match sent {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => match pause_of(&answer).filter(|_| left > 0) {
                    Some(pause) => (pause, "the server is at its limit"),
                    None => return Err(refusal::told(answer).await),
                },
                Err(error) if harmless && left > 0 && !error.is_connect() && !error.is_body() => {
                    (AFTER_LOSS, "the answer was lost")
                }
                Err(error) => return Err(self.unreachable(error)),
            };
            left -= 1;
            self.output
                .chatter(format_args!("{why}; trying again in {} s", pause.as_secs()));
            tokio::time::sleep(pause).await;
        }
    }

    /// An answer as JSON; null if it is empty.
    pub(crate) async fn json(&self, answer: Response) -> Result<Value, Failure> {
        let bytes = answer.bytes().await.map_err(|e| self.unreachable(e))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| {
            let text = format!("{} does not answer in JSON", self.base);
            Failure::new(Exit::Unavailable, text).next("is this the address of Plimsoll?")
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        Failure::caused(Exit::Unavailable, &error.without_url())
            .about(&format!("{} does not answer", self.base))
            .next("is `plimsoll serve` running, and there? --url or PLIMSOLL_URL names the server")
    }
}

fn wrong_key(error: &reqwest::Error) -> Failure {
    Failure::caused(Exit::Usage, error).next("is PLIMSOLL_API_KEY a key, in one line?")
}

fn is_harmless(request: &Request) -> bool {
    request.method() == Method::GET || request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// How long the server asks to wait, if it is worth it.
fn pause_of(answer: &Response) -> Option<Duration> {
    if !matches!(answer.status().as_u16(), 429 | 503) {
        return None;
    }
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.parse().ok().filter(|s| *s <= LONGEST_PAUSE_S)?;
    Some(Duration::from_secs(seconds))
}
