//! How a test wants its server.

use plimsoll_app::Settings;
use plimsoll_core::secret::Secret;
use plimsoll_http::HttpConfig;
use plimsoll_python::PythonOptions;

use crate::{Backend, TestServer};

/// How a test wants its server: production's defaults, except that
/// nothing is limited.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) settings: Settings,
    pub(crate) http: HttpConfig,
    pub(crate) upload_max_bytes: u64,
    pub(crate) onnxruntime: Option<std::path::PathBuf>,
    pub(crate) python: Option<PythonOptions>,
}

impl Options {
    /// Production's defaults, except that nothing is limited.
    pub fn new() -> Self {
        let mut settings = Settings::default();
        settings.auth.secret = Secret::new(b"only the tests sign with this secret".to_vec());
        settings.limits.enabled = false;
        // Machines that run tests are shared; the memory of one server must stay small.
        settings.cache.max_bytes = 256 << 20;
        Self {
            upload_max_bytes: 64 << 20,
            settings,
            http: HttpConfig::default(),
            onnxruntime: None,
            python: None,
        }
    }

    /// Switches all limits on.
    #[must_use]
    pub fn limits(mut self) -> Self {
        self.settings.limits.enabled = true;
        self
    }

    /// Strangers may not register.
    #[must_use]
    pub fn registration_closed(mut self) -> Self {
        self.settings.auth.registration_open = false;
        self
    }

    /// Accepts uploads up to this many bytes.
    #[must_use]
    pub fn upload_max_bytes(mut self, bytes: u64) -> Self {
        self.upload_max_bytes = bytes;
        self
    }

    /// Serves ONNX models with this library.
    #[must_use]
    pub fn onnxruntime(mut self, library: Option<std::path::PathBuf>) -> Self {
        self.onnxruntime = library;
        self
    }

    /// Runs what no reader serves with a Python; its folders are the server's own.
    #[must_use]
    pub fn python(mut self, python: PythonOptions) -> Self {
        self.python = Some(python);
        self
    }

    /// Changes anything the application can be told.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Changes anything the wire can be told.
    #[must_use]
    pub fn http(mut self, change: impl FnOnce(&mut HttpConfig)) -> Self {
        change(&mut self.http);
        self
    }

    /// Starts a server; `None` if the tests were told to skip this database.
    pub async fn start(self, backend: Backend) -> Option<TestServer> {
        TestServer::with_options(backend, self).await
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
