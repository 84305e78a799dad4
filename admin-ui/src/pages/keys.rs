//! Admin API keys: the list, the form for a new one, and the dialogs of one.

mod create;
mod dialogs;
mod list;
mod reveal;
mod roles;

pub use list::KeysPage;
