use crate::components::Page;
use crate::i18n::use_i18n;
use crate::state::session::{use_session, use_sign_in};
use patternfly_yew::prelude::*;
use yew::prelude::*;

/// `/sign-in`, and in place of any page that asks for a session. Where it stands in place of a page,
/// whoever signs in comes back to that page.
#[component]
pub fn SignInPage() -> Html {
    let i18n = use_i18n();
    let on_sign_in = use_sign_in();
    let has_ended = use_session().has_ended;
    let summary = if has_ended { i18n.t("sign-in.ended") } else { i18n.t("sign-in.summary") };
    html! {
        <Page title={i18n.t("sign-in.title")} {summary}>
            <div>
                <Button
                    variant={ButtonVariant::Primary}
                    label={i18n.t("sign-in.go").to_string()}
                    onclick={on_sign_in.reform(|_| ())}
                />
            </div>
        </Page>
    }
}
