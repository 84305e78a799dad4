//! The page to sign in.

use crate::clerk;
use crate::components::{Button, Page};
use crate::config::use_config;
use crate::i18n::use_i18n;
use crate::state::session::{use_session, use_sign_in};
use patternfly_yew::prelude::*;
use web_sys::Element;
use yew::prelude::*;

/// `/sign-in`, also shown in place of any page that needs a session. After signing in there, people come
/// back to that page.
#[component]
pub fn SignInPage() -> Html {
    let i18n = use_i18n();
    let on_sign_in = use_sign_in();
    let config = use_config();
    let has_ended = use_session().has_ended;
    let summary = if has_ended { i18n.t("sign-in.ended") } else { i18n.t("sign-in.summary") };
    html! {
        <Page title={i18n.t("sign-in.title")} {summary}>
            if config.clerk_key().is_some() {
                <ClerkForm />
            } else {
                <div>
                    <Button
                        variant={ButtonVariant::Primary}
                        label={i18n.t("sign-in.go").to_string()}
                        onclick={on_sign_in.reform(|_| ())}
                    />
                </div>
            }
        </Page>
    }
}

/// Clerk's own form. Clerk draws into this element.
#[component]
fn ClerkForm() -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with((), move |()| {
            let element = node.cast::<Element>();
            element.iter().for_each(clerk::mount_sign_in);
            move || element.iter().for_each(clerk::unmount_sign_in)
        });
    }
    html! { <div ref={node} /> }
}
