//! Tokens: the list, and what is done to one.

mod create;
mod detail;
mod dialogs;
mod edit;
mod list;
mod reveal;
mod tester;

pub use detail::TokenPage;
pub use list::TokensPage;

use crate::i18n::I18n;
use crate::state::toasts::Tone;
use contract::Propagation;
use contract::tokens::TokenView;
use domain::people::role::{Action, Subject};
use yew::AttrValue;

/// Says that a change was saved, and whether the gateway knows of it yet.
fn saved(i18n: &I18n, propagation: Propagation) -> (Tone, AttrValue) {
    match propagation {
        Propagation::Published => (Tone::Success, i18n.t("saved.published")),
        Propagation::Pending => (Tone::Warning, i18n.t("saved.pending")),
    }
}

fn may_change(me: &contract::people::Me, token: &TokenView) -> bool {
    let subject = Subject::owned(&token.team_id, token.created_by.as_ref());
    crate::state::session::can(me, Action::ChangeToken, subject)
}
