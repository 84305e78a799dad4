//! The platform's context of one request.

use edge::log::{Source, log};
use js_sys::Promise;
use std::pin::Pin;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

#[wasm_bindgen]
extern "C" {
    /// Cloudflare's `ExecutionContext`.
    #[derive(Clone, Debug)]
    pub type Context;

    #[wasm_bindgen(method, catch, js_name = waitUntil)]
    fn hold(this: &Context, work: &Promise) -> Result<(), JsValue>;
}

impl Context {
    /// Keeps the request alive until `work` is done, for 30 s at most once the client has left.
    pub fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        self.wait_until_boxed(Box::pin(work));
    }

    /// Is compiled once, not for each kind of work.
    fn wait_until_boxed(&self, work: Pin<Box<dyn Future<Output = ()>>>) {
        let work = future_to_promise(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        });
        if let Err(cause) = self.hold(&work) {
            log(Source::Isolate, "a request has ended before its work", &format!("{cause:?}"));
        }
    }
}
