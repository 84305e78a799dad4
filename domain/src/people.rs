//! People: what their role allows, whether their session holds, what Clerk says of them.

pub mod clerk;
pub mod role;
pub mod session;
