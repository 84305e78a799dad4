//! Another Worker of ours, called by a service binding.

use web_sys::{Request, RequestInit};
use worker::{Env, Fetcher};

/// Another Worker.
#[derive(Debug)]
pub struct Service(Fetcher);

impl Service {
    /// Returns the Worker that is bound under this name, if there is one.
    pub fn open(env: &Env, binding: &str) -> Option<Self> {
        env.service(binding).ok().map(Self)
    }

    /// Sends a GET request with these headers. Returns status and body.
    ///
    /// # Errors
    /// The cause, for the log.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<(u16, String), String> {
        // Not by `worker`, whose requests carry the code of all that Cloudflare adds to one.
        let request =
            Request::new_with_str_and_init(url, &RequestInit::new()).map_err(|e| format!("{e:?}"))?;
        for (name, value) in headers {
            request.headers().set(name, value).map_err(|e| format!("{e:?}"))?;
        }
        let request = worker::Request::from(request);
        let mut response = self.0.fetch_request(request).await.map_err(|e| e.to_string())?;
        let text = response.text().await.map_err(|e| e.to_string())?;
        Ok((response.status_code(), text))
    }
}
