//! The admin's single-page application. Pages fetch, components render; what both need from the
//! browser sits in `hooks`, what outlives a page in `state`.

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
mod route;
mod snippets;
mod state;

fn main() {
    // `index.html` has the element, with the first paint in it; rendering replaces that.
    if let Some(root) = gloo::utils::document().get_element_by_id("app") {
        yew::Renderer::<app::App>::with_root(root).render();
    }
}
