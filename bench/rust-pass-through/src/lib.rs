//! The least that a Worker in Rust can do: send the call on and hand the answer back. What the gateway
//! is measured against; it is not part of what is deployed.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, RequestInit, Response, WorkerGlobalScope};
use worker::{Context, Env, Error, Result, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    let url = url::Url::parse(&request.url())?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{}{query}", env.var("UPSTREAM")?, url.path());
    let init: &RequestInit = request.unchecked_ref();
    let onward = Request::new_with_str_and_init(&target, init).map_err(Error::from)?;
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(scope.fetch_with_request(&onward)).await.map_err(Error::from)?;
    answer.dyn_into::<Response>().map_err(Error::from)
}
