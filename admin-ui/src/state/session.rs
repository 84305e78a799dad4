//! The session of the person who is signed in. Clerk's script keeps it if a publishable key is configured;
//! otherwise it is a session token of the local issuer.
//!
//! Clerk gives a token of a minute for each call. The issuer's page comes back with its token in the
//! address's fragment, which browsers send to no server. The token is taken out of the address before
//! anything is drawn. It is kept in this tab's session storage as well as in memory, so that a reload is not a
//! sign-out: it opens nothing but the admin API, for an hour at most, and it ends with the tab. A script
//! that could read it there could send calls itself. API tokens and upstream credentials are never stored.

use crate::api::Pass;
use crate::clerk;
use crate::config::use_config;
use crate::route::Route;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::people::Me;
use domain::people::role::{Action, Subject, authorize};
use domain::time::UnixMs;
use std::rc::Rc;
use web_sys::wasm_bindgen::JsValue;
use yew::prelude::*;
use yew_router::prelude::use_navigator;

const STORED: &str = "session";
const FRAGMENT: &str = "#__session=";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    pub pass: Option<Pass>,
    /// Whether there was a session that ended by itself.
    pub has_ended: bool,
}

#[derive(Clone, Debug)]
pub enum ChangeSession {
    SignedOut,
    Expired,
    /// Clerk reports this session as open, or none.
    Clerk(Option<Rc<str>>),
}

impl Session {
    /// Reads the session from the address, else from this tab's storage.
    pub fn load(now: UnixMs) -> Self {
        if let Some(token) = take_from_address() {
            remember(&token);
            return Self::of(Some(token), now);
        }
        Self::of(storage().and_then(|storage| storage.get_item(STORED).ok().flatten()), now)
    }

    fn of(token: Option<String>, now: UnixMs) -> Self {
        match token {
            Some(token) if expires_at(&token).is_some_and(|end| end > now) => {
                Self { pass: Some(Pass::Token(token.into())), has_ended: false }
            }
            other => Self { pass: None, has_ended: other.is_some() },
        }
    }
}

impl Reducible for Session {
    type Action = ChangeSession;

    fn reduce(self: Rc<Self>, action: ChangeSession) -> Rc<Self> {
        Rc::new(match action {
            ChangeSession::SignedOut => Self::default(),
            ChangeSession::Expired => Self { pass: None, has_ended: true },
            ChangeSession::Clerk(Some(id)) => Self { pass: Some(Pass::Clerk(id)), has_ended: false },
            ChangeSession::Clerk(None) => Self { pass: None, has_ended: self.has_ended },
        })
    }
}

fn storage() -> Option<web_sys::Storage> {
    gloo::utils::window().session_storage().ok().flatten()
}

fn remember(token: &str) {
    // Refused when storage is forbidden: the session then lasts until the next reload.
    let _ = storage().map(|storage| storage.set_item(STORED, token));
}

fn forget() {
    let _ = storage().map(|storage| storage.remove_item(STORED));
}

/// Takes the token out of the address's fragment, and so out of history.
fn take_from_address() -> Option<String> {
    let location = gloo::utils::window().location();
    let token = location.hash().ok()?.strip_prefix(FRAGMENT)?.to_owned();
    let address = format!("{}{}", location.pathname().ok()?, location.search().ok()?);
    let history = gloo::utils::window().history().ok()?;
    history.replace_state_with_url(&JsValue::NULL, "", Some(&address)).ok()?;
    Some(token)
}

/// Returns when a JWT ends. Its signature is not checked, which is the API's task: the end only spares a
/// call that would be refused.
fn expires_at(token: &str) -> Option<UnixMs> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims.get("exp")?.as_i64()?.checked_mul(1000)
}

/// The session, and the way to change it.
pub type SessionHandle = UseReducerHandle<Session>;

/// Ends the session on this machine. The token itself ends by its own time.
pub fn close(is_clerk: bool) {
    if is_clerk {
        clerk::sign_out();
    } else {
        forget();
    }
}

#[hook]
pub fn use_session() -> Session {
    use_context::<SessionHandle>().map(|handle| (*handle).clone()).unwrap_or_default()
}

#[hook]
pub fn use_sign_out() -> Callback<()> {
    let handle = use_context::<SessionHandle>();
    let is_clerk = use_config().clerk_key().is_some();
    Callback::from(move |()| {
        if let Some(handle) = &handle {
            handle.dispatch(ChangeSession::SignedOut);
        }
        close(is_clerk);
    })
}

/// Returns a callback that opens the issuer's page, which returns to the current page, or the page with
/// Clerk's form.
#[hook]
pub fn use_sign_in() -> Callback<()> {
    let config = use_config();
    let navigator = use_navigator();
    Callback::from(move |()| {
        if let (Some(_), Some(navigator)) = (config.clerk_key(), &navigator) {
            navigator.push(&Route::SignIn);
            return;
        }
        let location = gloo::utils::window().location();
        let back = location.href().unwrap_or_default();
        let back: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        // Cannot fail for an address that came out of the configuration as a URL.
        let _ = location.set_href(&format!("{}/sign-in?redirect_url={back}", config.issuer));
    })
}

/// Returns the person who is signed in. Only pages that need a session are drawn with one.
#[hook]
pub fn use_me() -> Rc<Me> {
    let nobody = || Me {
        id: "".into(),
        email: None,
        name: None,
        avatar_url: None,
        memberships: vec![],
        is_platform_admin: false,
        key_id: None,
    };
    use_context().unwrap_or_else(|| Rc::new(nobody()))
}

/// Whether a person may do something. The API decides again, with the same function.
pub fn can(me: &Me, action: Action, subject: Subject) -> bool {
    authorize(&me.caller(), action, subject).is_ok()
}

/// Whether a person may read the audit log of any team.
pub fn may_audit(me: &Me) -> bool {
    me.caller().teams_for(Action::ReadAudit).is_none_or(|teams| !teams.is_empty())
}

/// Whether a person may manage the channels of the system or of any team.
pub fn may_manage_channels(me: &Me) -> bool {
    me.caller().teams_for(Action::ManageChannels).is_none_or(|teams| !teams.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(exp: i64) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"u","exp":{exp}}}"#)))
    }

    #[test]
    fn a_session_that_has_ended_is_not_used_and_differs_from_none() {
        assert!(Session::of(Some(token(2)), 1_000).pass.is_some());
        assert_eq!(Session::of(Some(token(2)), 2_000), Session { pass: None, has_ended: true });
        assert_eq!(Session::of(Some("nonsense".to_owned()), 0), Session { pass: None, has_ended: true });
        assert_eq!(Session::of(None, 0), Session::default());
    }

    #[test]
    fn an_ended_session_still_shows_as_ended_after_clerk_reports_none() {
        let after = |session: Session, action| (*Rc::new(session).reduce(action)).clone();
        let open = after(Session::default(), ChangeSession::Clerk(Some("sess_1".into())));
        assert_eq!(open.pass, Some(Pass::Clerk("sess_1".into())));
        let ended = after(after(open, ChangeSession::Expired), ChangeSession::Clerk(None));
        assert_eq!(ended, Session { pass: None, has_ended: true });
        assert_eq!(after(ended, ChangeSession::SignedOut), Session::default());
    }
}
