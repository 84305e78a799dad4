//! The proof of a session that each call carries.

use super::error::Reason;
use crate::clerk;
use std::rc::Rc;

/// Opens the admin API for one person.
#[derive(Clone, Debug, PartialEq)]
pub enum Pass {
    /// The local issuer's token.
    Token(Rc<str>),
    /// The id of Clerk's session.
    Clerk(Rc<str>),
}

impl Pass {
    /// Changes whenever a new session starts, even for the same person.
    pub fn key(&self) -> &str {
        match self {
            Self::Token(key) | Self::Clerk(key) => key,
        }
    }

    /// Returns the token of one call. Clerk has none if its session has ended, and fails if it cannot be reached.
    pub async fn token(&self) -> Result<Option<Rc<str>>, Reason> {
        match self {
            Self::Token(token) => Ok(Some(Rc::clone(token))),
            Self::Clerk(_) => {
                let token = clerk::get_token().await.map_err(|_| Reason::Unreachable)?;
                Ok(token.as_string().map(Rc::from))
            }
        }
    }
}
