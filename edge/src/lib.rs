//! The platform as both Workers use it, which `domain` must not know.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | addresses as people write them |
//! | [`clock`], [`timeout`] | time, pauses, an end to waiting |
//! | [`env`](mod@env) | variables and bindings, the isolate's configuration |
//! | [`kv`], [`queue`] | typed KV entries and queue messages |
//! | [`http`] | the error envelope as a response, request id, CORS headers |
//! | [`log`] | structured logs |
//! | [`crypto`], [`deflate`] | WebCrypto, compression |
//! | [`oauth`] | bearer tokens that are fetched for a credential |
//! | [`service`] | calls of another Worker of ours |
//! | [`object`], [`limiter`], [`feed`] | questions to Durable Objects: a token's counter, the change feed |

#![warn(missing_docs)]

pub mod address;
pub mod clock;
pub mod crypto;
pub mod deflate;
pub mod env;
pub mod feed;
pub mod http;
pub mod kv;
pub mod limiter;
pub mod log;
pub mod oauth;
pub mod object;
pub mod queue;
pub mod service;
pub mod timeout;

/// The allocator of both Workers.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
