//! The functions of Clerk's script that are used. `clerk.js` loads the script.

use web_sys::Element;
use web_sys::wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/clerk.js")]
extern "C" {
    /// Loads the script and returns the id of the open session. The error is the address that did not respond.
    #[wasm_bindgen(catch)]
    pub async fn load(key: &str, on_session: JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = getToken)]
    pub async fn get_token() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = mountSignIn)]
    pub fn mount_sign_in(node: &Element);
    #[wasm_bindgen(js_name = unmountSignIn)]
    pub fn unmount_sign_in(node: &Element);
    #[wasm_bindgen(js_name = openProfile)]
    pub fn open_profile();
    #[wasm_bindgen(js_name = signOut)]
    pub fn sign_out();
}
