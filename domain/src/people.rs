//! People: the permissions of their roles, their sessions, and their accounts at Clerk.

pub mod clerk;
pub mod grant;
pub mod role;
pub mod session;
