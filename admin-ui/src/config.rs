//! Where the services are: read at start from `/config.json`, so that one build runs anywhere.

use serde::Deserialize;
use std::rc::Rc;
use yew::prelude::*;

pub const PATH: &str = "/config.json";

/// Origins, without a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Config {
    pub api: String,
    /// What workflows call: shown in snippets, never called from here.
    pub gateway: String,
    /// Signs sessions.
    pub issuer: String,
}

impl Config {
    /// `http:` upstreams on private hosts are for local systems alone, as in both Workers; here it
    /// decides only what a form says before the API decides.
    pub fn is_local(&self) -> bool {
        self.api.starts_with("http://")
    }
}

/// The addresses. Pages are rendered only once they are known.
#[hook]
pub fn use_config() -> Rc<Config> {
    use_context().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: &str = include_str!("../public/config.json");
    const HEADERS: &str = include_str!("../public/_headers");

    #[test]
    fn the_production_config_can_be_read() {
        let config: Config = serde_json::from_str(PRODUCTION).unwrap();
        assert!(config.api.starts_with("https://") && !config.api.ends_with('/'));
        assert!(!config.is_local());
    }

    #[test]
    fn the_browser_may_connect_to_every_service_that_is_called() {
        let config: serde_json::Value = serde_json::from_str(PRODUCTION).unwrap();
        let connect = HEADERS.split("connect-src ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
        let allowed: Vec<_> = connect.split(' ').collect();
        for name in ["api", "issuer"] {
            let origin = config[name].as_str().unwrap();
            assert!(allowed.contains(&origin), "{name}: {origin} is not in {allowed:?}");
        }
    }

    #[test]
    fn no_inline_script_is_allowed() {
        let scripts = HEADERS.split("script-src ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
        assert_eq!(scripts, "'self' 'wasm-unsafe-eval'");
    }
}
