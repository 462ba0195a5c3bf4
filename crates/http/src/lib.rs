//! The wire: accept loop, routes, extractors, problem documents, OpenAPI, metrics text.
