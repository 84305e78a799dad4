//! Durable Objects of the gateway, asked by either Worker: a command goes in as JSON, and its response comes back.

use crate::timeout::within;
use domain::json::from_text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use web_sys::{Request, RequestInit};
use worker::Env;

/// A kind of object, by its binding.
#[derive(Clone, Copy, Debug)]
pub struct Objects {
    /// The binding of its namespace.
    pub binding: &'static str,
    /// The time after which an object counts as unreachable, in ms.
    pub timeout_ms: u64,
}

impl Objects {
    /// Asks the object of this name.
    ///
    /// # Errors
    /// The cause, for the log, if the object cannot be reached in time or refuses.
    pub async fn ask<T: DeserializeOwned>(
        self,
        env: &Env,
        name: &str,
        command: &impl Serialize,
    ) -> Result<T, String> {
        let text = serde_json::to_string(command).map_err(|e| e.to_string())?;
        let text = within(self.timeout_ms, exchange(env, self.binding, name, text)).await??;
        from_text(&text).map_err(|e| e.to_string())
    }
}

async fn exchange(env: &Env, binding: &str, name: &str, text: String) -> Result<String, String> {
    let objects = env.durable_object(binding).map_err(|e| e.to_string())?;
    let object = objects.id_from_name(name).and_then(|id| id.get_stub()).map_err(|e| e.to_string())?;
    // Not by `worker`, whose requests carry the code of all that Cloudflare adds to one.
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&text.into());
    let request = Request::new_with_str_and_init("https://object/", &init).map_err(|e| format!("{e:?}"))?;
    let mut response = object.fetch_with_request(request.into()).await.map_err(|e| e.to_string())?;
    let text = response.text().await.map_err(|e| e.to_string())?;
    match response.status_code() {
        200 => Ok(text),
        status => Err(format!("the object responded {status}")),
    }
}
