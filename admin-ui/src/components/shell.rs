//! The frame of every page. The library's `Page` nests one `main` in another and has no skip link, so its
//! markup is written here.

mod bell;
mod keys;
mod navigation;
mod palette;
mod preferences;
mod sections;
mod status_dot;
mod user_menu;

use crate::hooks::setter;
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::preferences::{SetPreference, use_preferences, use_set_preference};
use crate::state::session::{use_me, use_sign_in};
use bell::Bell;
pub use bell::{gravity, notice_route, notice_text};
use keys::{Key, KeyList, palette_key, use_go, use_keys};
use navigation::{Navigation, Tabs};
use palette::Palette;
use preferences::{LanguageChoice, ThemeChoice};
pub use sections::settings;
use status_dot::StatusDot;
use user_menu::UserMenu;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ShellProps {
    pub children: Html,
}

#[component]
pub fn Shell(props: &ShellProps) -> Html {
    let i18n = use_i18n();
    // A person without a team has no page to go to.
    let is_member = !use_me().memberships.is_empty();
    let is_signed_in = !use_me().id.as_str().is_empty();
    let is_open = use_preferences().is_sidebar_open;
    let on_toggle = use_set_preference().reform(move |_: MouseEvent| SetPreference::Sidebar(!is_open));
    let sidebar = if is_open { "pf-m-expanded" } else { "pf-m-collapsed" };
    html! {
        <div class={classes!("pf-v6-c-page", "tm-page")}>
            <div class="pf-v6-c-skip-to-content">
                <a class="pf-v6-c-button pf-m-primary" href="#content">{ i18n.t("app.skip-to-content") }</a>
            </div>
            <header class="pf-v6-c-masthead pf-m-display-inline tm-masthead">
                <div class="pf-v6-c-masthead__main">
                    if is_member {
                        <button
                            type="button"
                            class="pf-v6-c-button pf-m-plain"
                            aria-label={i18n.t("nav.toggle")}
                            title={i18n.t("nav.toggle")}
                            aria-expanded={is_open.to_string()}
                            aria-controls="sidebar"
                            onclick={on_toggle}
                        >
                            <i class="fas fa-bars" aria-hidden="true" />
                        </button>
                    }
                    <Link<Route> to={Route::Home} classes="tm-brand">
                        <Mark />
                        <span class="tm-brand__name">{ i18n.t("app.name") }</span>
                    </Link<Route>>
                </div>
                <div class="pf-v6-c-masthead__content">
                    if is_member {
                        <Jump />
                    }
                    <div class="tm-masthead-tools">
                        <StatusDot />
                        if is_member {
                            <Bell />
                        }
                        if is_signed_in {
                            <UserMenu />
                        } else {
                            <ThemeChoice />
                            <LanguageChoice />
                            <SignInButton />
                        }
                    </div>
                </div>
            </header>
            if is_member {
                <aside id="sidebar" class={classes!("pf-v6-c-page__sidebar", "tm-sidebar", sidebar)} hidden={!is_open}>
                    <div class="pf-v6-c-page__sidebar-body"><Navigation /></div>
                </aside>
            }
            <div class="pf-v6-c-page__main-container">
                <main id="content" class="pf-v6-c-page__main" tabindex="-1">
                    if is_member {
                        <Tabs />
                    }
                    { props.children.clone() }
                </main>
            </div>
        </div>
    }
}

/// The mark: one line in, through a gate, and three lines out.
#[component]
fn Mark() -> Html {
    html! {
        <svg class="tm-brand__mark" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M2 12h6M14 12h8M8 12q4 0 6-6h8M8 12q4 0 6 6h8" />
            <circle cx="8" cy="12" r="3" />
        </svg>
    }
}

/// The palette's button, the palette, and the keys that work on every page.
#[component]
fn Jump() -> Html {
    let i18n = use_i18n();
    let open = use_state_eq(|| None::<Key>);
    let on_go = use_go();
    let on_key = {
        let open = open.setter();
        use_callback((), move |key: Key, ()| match key {
            Key::Palette | Key::List => open.set(Some(key)),
            _ => on_go.emit(key),
        })
    };
    use_keys(&on_key);
    let on_close = setter(&open).reform(|()| None);
    html! {
        <div class="tm-search" role="search" aria-label={i18n.t("palette.label")}>
            <button type="button" class="pf-v6-c-form-control tm-search__open" aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K /" onclick={setter(&open).reform(|_: MouseEvent| Some(Key::Palette))}>
                <i class="fas fa-search" aria-hidden="true" />
                <span class="tm-clip">{ i18n.t("palette.open") }</span>
                <kbd aria-hidden="true">{ palette_key() }</kbd>
            </button>
            if *open == Some(Key::Palette) {
                <Palette {on_close} on_keys={setter(&open).reform(|()| Some(Key::List))} />
            } else if *open == Some(Key::List) {
                <KeyList {on_close} />
            }
        </div>
    }
}

/// A button to sign in, on pages that need no session. Every other page shows the page to sign in.
#[component]
fn SignInButton() -> Html {
    let i18n = use_i18n();
    let on_sign_in = use_sign_in();
    let is_elsewhere = use_route::<Route>().is_some_and(|route| route.is_public() && route != Route::SignIn);
    html! {
        if is_elsewhere {
            <button type="button" class="pf-v6-c-button pf-m-primary pf-m-small" onclick={on_sign_in.reform(|_| ())}>
                { i18n.t("sign-in.go") }
            </button>
        }
    }
}
