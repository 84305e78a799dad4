//! Tokens: the list, one token, and its dialogs.

mod create;
mod derived;
mod detail;
mod dialogs;
mod draft;
mod edit;
mod hints;
mod list;
mod reveal;
mod rotation;
pub mod tester;

pub use create::{DEFAULT_DAYS, ExpiryField};
pub use detail::TokenPage;
pub use list::TokensPage;
pub use reveal::use_made;

use crate::state::session::can;
use contract::people::Me;
use contract::tokens::TokenView;
use domain::people::role::{Action, Subject};

/// Whether the signed-in person may change a token.
pub fn may_change(me: &Me, token: &TokenView) -> bool {
    let subject = Subject::owned(&token.team_id, token.created_by.as_ref());
    can(me, Action::ChangeToken, subject)
}
