//! People, their roles and their invitations.

mod invitations;
mod invite;
mod list;
mod role_table;
mod roles;

pub use list::UsersPage;
