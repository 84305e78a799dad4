//! What both Workers need of the platform and `domain` must not know: variables, WebCrypto, the
//! error envelope as a response, KV reads with an end.

pub mod crypto;
pub mod env;
pub mod respond;
