//! The wire: accept loop, routes, extractors, problem documents, OpenAPI, metrics text.
//!
//! [`Server`] accepts and watches connections, the [`edge`](self) of the router
//! surrounds every request, extractors turn it into typed arguments, and each
//! handler makes one call into `plimsoll-app`. No rule of the product lives here.

mod compat;
mod config;
mod context;
mod deprecation;
mod dialects;
mod dto;
mod edge;
mod extract;
mod front;
mod html;
mod metrics;
mod once;
mod openapi;
mod pages;
mod problem;
mod routes;
mod server;
mod snippets;
mod wire;

pub use compat::{ALIASES, Alias};
pub use config::{HttpConfig, Limits};
pub use openapi::openapi;
pub use problem::kind::{Kind, Row as KindRow, TABLE as PROBLEM_KINDS};
pub use problem::page::errors_markdown;
pub use server::{Drained, Server};
pub use wire::router;
