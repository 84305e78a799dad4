//! Files that the page itself hands to its reader.

use web_sys::wasm_bindgen::JsCast;

/// Saves a text as a file.
pub fn save_file(name: &str, kind: &str, text: &str) {
    let blob = gloo::file::Blob::new_with_options(text, Some(kind));
    let url = gloo::file::ObjectUrl::from(blob);
    let link = gloo::utils::document().create_element("a").ok();
    if let Some(link) = link.and_then(|link| link.dyn_into::<web_sys::HtmlElement>().ok()) {
        // Neither can fail: the names are constants.
        let _ = link.set_attribute("href", &url);
        let _ = link.set_attribute("download", name);
        link.click();
    }
}
