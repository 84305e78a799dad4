//! The addresses of the services, read at start from `/config.json`, so that one build runs anywhere.

use domain::upstream::address::AddressRules;
use serde::Deserialize;
use std::rc::Rc;
use yew::prelude::*;

pub const PATH: &str = "/config.json";

/// Origins, without a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Config {
    pub api: String,
    /// The gateway that workflows call. It is shown in snippets, and called from here for one proof alone (`api/gateway.rs`).
    pub gateway: String,
    /// The local issuer, which signs sessions if Clerk does not.
    #[serde(default)]
    pub issuer: String,
    /// Clerk's key, which names the host of its script. Without one people sign in at the issuer's page.
    #[serde(default)]
    clerk_publishable_key: Option<Rc<str>>,
}

impl Config {
    pub fn clerk_key(&self) -> Option<Rc<str>> {
        self.clerk_publishable_key.clone().filter(|key| !key.is_empty())
    }

    /// Returns the rules by which a form finds errors before the API decides. In a local system `http:` upstreams on
    /// private hosts are allowed, as both Workers allow them.
    pub fn addresses(&self) -> AddressRules {
        AddressRules { allow_insecure: self.api.starts_with("http://"), to_ascii }
    }
}

fn to_ascii(text: &str) -> String {
    web_sys::Url::new(text).map_or_else(|_| text.to_owned(), |url| url.href())
}

/// Returns the addresses. Pages are drawn only once they are known.
#[hook]
pub fn use_config() -> Rc<Config> {
    use_context().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: &str = include_str!("../public/config.json");

    #[test]
    fn the_production_config_can_be_read() {
        let config: Config = serde_json::from_str(PRODUCTION).unwrap();
        assert!(config.api.starts_with("https://") && !config.api.ends_with('/'));
        assert!(!config.addresses().allow_insecure);
    }

    #[test]
    fn an_empty_publishable_key_is_none() {
        let key = |json: &str| serde_json::from_str::<Config>(json).unwrap().clerk_key();
        assert_eq!(key(r#"{"api": "", "gateway": "", "clerk_publishable_key": ""}"#), None);
        assert_eq!(key(r#"{"api": "", "gateway": "", "clerk_publishable_key": null}"#), None);
        assert_eq!(
            key(r#"{"api": "", "gateway": "", "clerk_publishable_key": "pk"}"#).as_deref(),
            Some("pk")
        );
    }
}
