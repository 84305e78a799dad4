//! The platform's own compression, as text that D1 keeps: raw deflate (RFC 1951) in base64.
//!
//! A blob would come back from D1 as an array of numbers.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableWritablePair, Response};

/// Compresses bytes.
///
/// # Errors
/// The cause, if the platform refuses.
pub async fn pack(bytes: &[u8]) -> Result<String, String> {
    through("CompressionStream", bytes).await.map(|packed| STANDARD_NO_PAD.encode(packed)).map_err(cause)
}

/// Restores the bytes that [`pack`] compressed.
///
/// # Errors
/// The cause, if the text is not such a text.
pub async fn unpack(text: &str) -> Result<Vec<u8>, String> {
    let packed = STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?;
    through("DecompressionStream", &packed).await.map_err(cause)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn cause(error: JsValue) -> String {
    format!("{error:?}")
}

/// Sends bytes through a transform stream of the global class `class`.
async fn through(class: &str, bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
    let class: Function = Reflect::get(&js_sys::global(), &class.into())?.dyn_into()?;
    let stream = Reflect::construct(&class, &Array::of1(&"deflate-raw".into()))?;
    let body = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes)))?.body();
    let body = body.ok_or_else(|| JsValue::from("a response without a body"))?;
    let packed = body.pipe_through(stream.unchecked_ref::<ReadableWritablePair>());
    let whole =
        JsFuture::from(Response::new_with_opt_readable_stream(Some(&packed))?.array_buffer()?).await?;
    Ok(Uint8Array::new(&whole).to_vec())
}
