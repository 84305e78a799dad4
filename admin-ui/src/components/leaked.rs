//! The token that a leaked secret belongs to. The secret is hashed here, and only its hash is sent.

use super::{Standing, StandingLabel};
use crate::api::use_api;
use crate::clock;
use crate::hooks::{AsyncState, use_remote};
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::session::{can, use_me};
use contract::people::Me;
use contract::tokens::{FindToken, FindTokenRequest, FoundToken, TokenView};
use domain::access::derived::Derived;
use domain::access::record::TokenState;
use domain::people::role::{Action, Subject};
use domain::token::{DERIVED_PREFIX, PREFIX, TokenHash};
use serde::Serialize;
use yew::prelude::*;
use yew_router::prelude::*;

/// The part of a secret that is shown everywhere, and may be sent.
const HINT_CHARS: usize = 12;
/// Secrets of the earlier system have no sign of their own; no name of a thing is as long without a space.
const LEGACY_CHARS: usize = 24;

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Returns the secret in a text that is searched for, which must not get into a URL: by its prefix wherever it stands,
/// since people copy the header or the quotes along, or else by its form.
pub fn secret_in(text: &str) -> Option<&str> {
    let text = text.trim();
    for prefix in [DERIVED_PREFIX, PREFIX] {
        let Some((_, from)) = text.find(prefix).and_then(|at| text.split_at_checked(at)) else { continue };
        let secret = from.split(|c| !is_of_word(c)).next().unwrap_or_default();
        if secret.len() > HINT_CHARS {
            return Some(secret);
        }
    }
    let is_id = ["tok_", "rte_", "req_", "user_"].iter().any(|prefix| text.starts_with(prefix));
    let is_word = text.chars().all(is_of_word);
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    (!is_id && is_word && has_digit && text.len() >= LEGACY_CHARS).then_some(text)
}

/// Whether a text that is searched for may hold a secret.
pub fn looks_secret(text: &str) -> bool {
    secret_in(text).is_some()
}

/// Returns the hash under which the token of a secret is found; that of a derived token is its parent's.
fn hash_of(text: &str) -> TokenHash {
    let secret = secret_in(text).unwrap_or_default();
    Derived::claimed_parent(secret).unwrap_or_else(|| TokenHash::of(secret))
}

/// Finds the token that a secret belongs to; without a secret, none.
#[hook]
pub fn use_leaked(secret: Option<&str>) -> AsyncState<FoundToken> {
    let api = use_api();
    use_remote(secret.map(hash_of), move |hash: Option<TokenHash>| {
        let api = api.clone();
        async move {
            let Some(hash) = hash else { return Ok(FoundToken { token: None }) };
            api.request::<FindToken>().body(&FindTokenRequest { hash }).send().await
        }
    })
    .state
}

/// Whether the signed-in person may revoke or rotate a token that was found.
pub fn may_stop(me: &Me, token: &TokenView) -> bool {
    let subject = Subject::owned(&token.team_id, token.created_by.as_ref());
    can(me, Action::ChangeToken, subject) && token.state != TokenState::Revoked
}

/// The query that opens a dialog of a token's page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Act {
    pub act: &'static str,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LeakedProps {
    pub secret: AttrValue,
    #[prop_or_default]
    pub on_choose: Callback<()>,
}

/// Finds the token, and offers to revoke or rotate it.
#[component]
pub fn Leaked(props: &LeakedProps) -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let note = |text: AttrValue| html! { <p class="tm-search__note">{ text }</p> };
    let found = use_leaked(Some(&props.secret));
    let token: &TokenView = match &found {
        AsyncState::Loading => return note(i18n.t("async.loading")),
        AsyncState::Failed(_) => return note(i18n.t("search.failed")),
        AsyncState::Ready(found) => match &found.token {
            None => return note(i18n.t("leaked.none")),
            Some(token) => token,
        },
    };
    let to = Route::Token { id: token.id.to_string() };
    let link = |act: &'static str, text: AttrValue, style: &'static str| {
        let query = Some(Act { act });
        html! { <Link<Route, Act> to={to.clone()} {query} classes={classes!("pf-v6-c-button", "pf-m-small", style)}>{ text }</Link<Route, Act>> }
    };
    html! {
        <div class="tm-search__note" onclick={props.on_choose.reform(|_: MouseEvent| ())}>
            <p>
                { i18n.t("leaked.found") }{ " " }
                <Link<Route> to={to.clone()}>{ &token.name }</Link<Route>>{ " " }
                <StandingLabel standing={Standing::of(token, clock::now())} />
            </p>
            if may_stop(&me, token) {
                <p class="tm-labels">
                    { link("revoke", i18n.t("tokens.revoke"), "pf-m-danger") }
                    { link("rotate", i18n.t("tokens.rotate"), "pf-m-secondary") }
                </p>
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_from_names_ids_and_hints() {
        // Written out, it would look like a secret in the tree.
        let whole = format!(" ntk_{} ", "0123456789".repeat(5));
        let header = format!("X-API-Key: {}", whole.trim());
        let quoted = format!("Bearer \"{}\",", whole.trim());
        assert_eq!(
            [&header, &quoted].map(|text| hash_of(text)),
            [TokenHash::of(whole.trim()), TokenHash::of(whole.trim())]
        );
        for secret in ["ntk_NS517D93ab", &whole, &header, &quoted, "4f0c1b9a77e24d5a9b1c33d0e8f7a6b5"] {
            assert!(looks_secret(secret), "{secret}");
        }
        let n = "n".repeat(255);
        for text in [
            "ntk_NS517D93",
            "Daily digest",
            "tok_0123456789abcdefghijklmn",
            "/api/openai/v1/chat/completions/1",
            &n,
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
