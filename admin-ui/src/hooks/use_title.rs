//! The page's name in the browser.

use yew::prelude::*;

/// Names the page in the browser's tab and history.
#[hook]
pub fn use_title(page: AttrValue, product: AttrValue) {
    use_effect_with((page, product), |(page, product)| {
        gloo::utils::document().set_title(&format!("{page} · {product}"));
    });
}
