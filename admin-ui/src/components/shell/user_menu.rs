//! The menu of the person who is signed in.

use super::preferences::{LanguageChoice, ThemeChoice};
use crate::clerk;
use crate::components::{Avatar, Menu, MenuItem, RoleLabel};
use crate::config::use_config;
use crate::i18n::use_i18n;
use crate::state::session::{use_me, use_sign_out};
use yew::prelude::*;

/// The menu of the person who is signed in: roles, preferences, sign-out.
#[component]
pub fn UserMenu() -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let on_sign_out = use_sign_out();
    let config = use_config();
    let name = me.name.clone().or_else(|| me.email.clone()).unwrap_or_else(|| me.id.to_string());
    let toggle = html! { <Avatar name={name.clone()} url={me.avatar_url.clone()} /> };
    html! {
        <Menu label={i18n.fill("user.menu", &[("name", &name)])} {toggle}>
            <div class="tm-user">
                <p class="tm-user__name">{ &name }</p>
                if let Some(email) = &me.email {
                    <p class="tm-subtle tm-address">{ email }</p>
                }
                <ul role="list" class="tm-labels">
                    { for me.memberships.iter().map(|m| html! {
                        <li><RoleLabel role={m.role} team={m.team_name.clone()} /></li>
                    }) }
                </ul>
            </div>
            <div class="tm-user">
                <ThemeChoice />
                <LanguageChoice />
            </div>
            if config.clerk_key().is_some() {
                <MenuItem text={i18n.t("user.account")} icon="fas fa-user" on_choose={|()| clerk::open_profile()} />
            }
            <MenuItem text={i18n.t("user.sign-out")} icon="fas fa-sign-out-alt" on_choose={on_sign_out} />
        </Menu>
    }
}
