//! The admin's single-page application. Pages fetch, components render; `hooks` has what both need from
//! the browser, `state` what outlives a page.

mod api;
mod app;
mod clerk;
mod clock;
mod components;
mod config;
mod download;
mod format;
mod hooks;
mod i18n;
mod pages;
mod parts;
mod route;
mod snippets;
mod state;
mod vendors;

fn main() {
    // `index.html` has the element, with the first paint in it; rendering replaces that.
    if let Some(root) = gloo::utils::document().get_element_by_id("app") {
        yew::Renderer::<app::App>::with_root(root).render();
    }
}
