//! People: the permissions of their roles, their sessions, their admin API keys, and their accounts at Clerk.

pub mod clerk;
pub mod grant;
pub mod key;
pub mod role;
pub mod session;
