//! What both Workers need of the platform and `domain` must not know: variables, WebCrypto, the
//! error envelope as a response, structured logs.

pub mod crypto;
pub mod env;
pub mod log;
pub mod respond;
