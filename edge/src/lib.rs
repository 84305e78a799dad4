//! What both Workers need of the platform and `domain` must not know: variables, WebCrypto, credentials
//! attached to a request, the
//! error envelope as a response, structured logs.

pub mod credential;
pub mod crypto;
pub mod env;
pub mod limiter;
pub mod log;
pub mod oauth;
pub mod respond;
