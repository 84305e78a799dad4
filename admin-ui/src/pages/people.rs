//! People, their roles, and who is invited.

mod invitations;
mod list;
mod role_table;
mod roles;

pub use list::UsersPage;
