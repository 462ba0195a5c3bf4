//! Argon2id in a bounded pool.
//!
//! One hash takes about 40 ms and 19 MiB (the OWASP minimum and the crate's
//! default). Without a bound, a burst of sign-ins would take the memory and
//! the cores that predictions need.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use plimsoll_core::entropy::Entropy;
use plimsoll_core::secret::Secret;
use tokio::sync::Semaphore;

use crate::Error;
use crate::tasks::Tasks;

/// Sign-ins that may wait for their turn.
const QUEUE: usize = 64;

/// Hashes and checks passwords, a few at a time.
#[derive(Debug)]
pub(crate) struct Passwords {
    tasks: Tasks,
    entropy: Arc<dyn Entropy>,
    running: Semaphore,
    admitted: Semaphore,
}

impl Passwords {
    pub(crate) fn new(tasks: &Tasks, entropy: Arc<dyn Entropy>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            tasks: tasks.clone(),
            entropy,
            running: Semaphore::new(cores),
            admitted: Semaphore::new(cores + QUEUE),
        }
    }

    /// A PHC string (`$argon2id$…`) for a password.
    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<String, Error> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        self.run(move || {
            let hash: Result<PasswordHash, _> =
                Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| Error::Internal(anyhow::anyhow!("argon2 refused to hash: {error}")))
    }

    /// Whether a password matches. Without a stored hash the same work is done
    /// against nothing, so that timing does not tell which accounts exist.
    pub(crate) async fn matches(
        &self,
        password: Secret<String>,
        stored: Option<String>,
    ) -> Result<bool, Error> {
        let Some(stored) = stored else {
            self.hash(password).await?;
            return Ok(false);
        };
        self.run(move || {
            let parsed = PasswordHash::new(&stored)?;
            match Argon2::default().verify_password(password.expose().as_bytes(), &parsed) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(other) => Err(other.into()),
            }
        })
        .await?
        .map_err(Error::Internal)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let overloaded = || Error::Overloaded {
            retry_after: Duration::from_secs(2),
        };
        let _admitted = self.admitted.try_acquire().map_err(|_| overloaded())?;
        let _running = self.running.acquire().await.map_err(|_| overloaded())?;
        self.tasks
            .blocking(work)
            .await
            .map_err(|error| Error::Internal(error.into()))
    }
}
