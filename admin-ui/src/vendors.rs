//! The vendors that the UI knows: how each is connected, and a call of it that works. Tiles, forms and snippets read
//! this table alone.

use crate::snippets::Example;
use domain::credential::CredentialKind;
use domain::upstream::settings::AiProvider;

/// A vendor whose API a route can lead to.
#[derive(Debug, PartialEq, Eq)]
pub struct Vendor {
    /// A segment of the proposed path, by which the vendor is also guessed.
    pub id: &'static str,
    /// The spelling is the vendor's.
    pub name: &'static str,
    pub base_url: &'static str,
    /// The host of its API; a `*` stands for any text.
    hosts: &'static [&'static str],
    pub credential: CredentialKind,
    /// The header that holds the key.
    pub header: &'static str,
    /// For AWS signatures.
    pub region: &'static str,
    pub service: &'static str,
    pub provider: Option<AiProvider>,
    /// Below the version: a GET that costs nothing and needs the key.
    pub probe: &'static str,
    /// The API's version, which is part of the upstream's address or of the call.
    version: &'static str,
    method: &'static str,
    /// Below the version.
    path: &'static str,
    headers: Option<(&'static str, &'static str)>,
    body: Option<&'static str>,
}

/// A vendor of no name, whose API is called with a bearer token.
const PLAIN: Vendor = Vendor {
    id: "",
    name: "",
    base_url: "",
    hosts: &[],
    credential: CredentialKind::Bearer,
    header: "",
    region: "",
    service: "",
    provider: None,
    probe: "",
    version: "",
    method: "GET",
    path: "",
    headers: None,
    body: None,
};

pub static VENDORS: [Vendor; 6] = [
    Vendor {
        id: "openai",
        name: "OpenAI",
        base_url: "https://api.openai.com/v1",
        hosts: &["api.openai.com", "*.openai.azure.com"],
        provider: Some(AiProvider::Openai),
        probe: "/models",
        version: "/v1",
        method: "POST",
        path: CHAT,
        body: Some(r#"{ "model": "gpt-5.4-mini", "messages": [{ "role": "user", "content": "Hello" }] }"#),
        ..PLAIN
    },
    Vendor {
        id: "anthropic",
        name: "Anthropic",
        base_url: "https://api.anthropic.com",
        hosts: &["api.anthropic.com"],
        credential: CredentialKind::Header,
        header: "x-api-key",
        provider: Some(AiProvider::Anthropic),
        probe: "/models",
        version: "/v1",
        method: "POST",
        path: "/messages",
        headers: Some(("anthropic-version", "2023-06-01")),
        body: Some(
            r#"{ "model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{ "role": "user", "content": "Hello" }] }"#,
        ),
        ..PLAIN
    },
    Vendor {
        id: "gemini",
        name: "Gemini",
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        hosts: &["generativelanguage.googleapis.com"],
        credential: CredentialKind::Header,
        header: "x-goog-api-key",
        provider: Some(AiProvider::Gemini),
        probe: "/models",
        version: "/v1beta",
        method: "POST",
        path: "/models/gemini-2.5-flash:generateContent",
        body: Some(r#"{ "contents": [{ "parts": [{ "text": "Hello" }] }] }"#),
        ..PLAIN
    },
    Vendor {
        id: "groq",
        name: "Groq",
        base_url: "https://api.groq.com/openai/v1",
        hosts: &["api.groq.com"],
        provider: Some(AiProvider::OpenaiCompatible),
        probe: "/models",
        version: "/v1",
        method: "POST",
        path: CHAT,
        body: Some(
            r#"{ "model": "llama-3.1-8b-instant", "messages": [{ "role": "user", "content": "Hello" }] }"#,
        ),
        ..PLAIN
    },
    Vendor {
        id: "cloudconvert",
        name: "CloudConvert",
        base_url: "https://api.cloudconvert.com/v2",
        hosts: &["api.cloudconvert.com"],
        probe: "/users/me",
        version: "/v2",
        path: "/users/me",
        ..PLAIN
    },
    Vendor {
        id: "s3",
        name: "AWS S3",
        base_url: "https://s3.us-east-1.amazonaws.com",
        hosts: &["s3.*amazonaws.com"],
        credential: CredentialKind::AwsSigv4,
        region: "us-east-1",
        service: "s3",
        probe: "/",
        path: "/",
        ..PLAIN
    },
];

/// Compatible with OpenAI, but of a vendor without a tile: the call asks for its models, since nobody knows them.
static COMPATIBLE: Vendor = Vendor {
    hosts: &["openrouter.ai", "api.mistral.ai", "api.deepseek.com", "api.x.ai", "api.together.xyz"],
    provider: Some(AiProvider::OpenaiCompatible),
    probe: MODELS,
    version: "/v1",
    path: MODELS,
    ..PLAIN
};

const CHAT: &str = "/chat/completions";
const MODELS: &str = "/models";

impl Vendor {
    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| match known.split_once('*') {
            Some((start, end)) => host.starts_with(start) && host.ends_with(end),
            None => host == *known,
        })
    }

    fn is_named_in(&self, path: &str) -> bool {
        // Short names are parts of other words.
        !self.id.is_empty()
            && path.split('/').any(|part| part == self.id || self.id.len() > 2 && part.contains(self.id))
    }

    /// Returns the version if a call has to name it because `base`, the path of the upstream's address, does not.
    fn version_of_call(&self, base: Option<&str>) -> &'static str {
        let base = base.unwrap_or_else(|| path_of(self.base_url));
        if base.trim_end_matches('/').ends_with(self.version) { "" } else { self.version }
    }

    /// Returns the path of a call that costs nothing.
    pub fn probe_path(&self, base: Option<&str>) -> String {
        format!("{}{}", self.version_of_call(base), self.probe)
    }

    /// Returns a call that works. `base` is the path of the upstream's address, if it is known.
    pub fn example(&self, base: Option<&str>) -> Example {
        let version = self.version_of_call(base);
        Example {
            method: self.method.to_owned(),
            path: format!("{version}{}", self.path),
            header: self.headers,
            body: self.body,
            openai_base: (self.path == CHAT || self.path == MODELS).then_some(version),
        }
    }

    /// Whether the costs of the example's model are known.
    pub fn has_price(&self) -> bool {
        self.provider.is_some_and(|provider| provider != AiProvider::OpenaiCompatible)
    }
}

fn path_of(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.find('/').and_then(|at| host.get(at..)).unwrap_or_default()
}

/// Returns the vendor of a route: by the upstream's host, else by a name in the route's path, else by the provider that was
/// set. People who may not see the upstream have only the path.
pub fn vendor_of(host: Option<&str>, path: &str, provider: Option<AiProvider>) -> Option<&'static Vendor> {
    let path = path.to_lowercase().replace("claude", "anthropic");
    let fits = |vendor: &&'static Vendor| provider.is_none() || vendor.provider == provider;
    let known = || VENDORS.iter().chain([&COMPATIBLE]).filter(fits);
    let by_host = host.and_then(|host| known().find(|vendor| vendor.has_host(host)));
    by_host.or_else(|| known().find(|vendor| vendor.is_named_in(&path))).or_else(|| match provider {
        Some(AiProvider::OpenaiCompatible) => Some(&COMPATIBLE),
        Some(_) => known().next(),
        None => None,
    })
}

/// Guesses the AI provider by the upstream's host.
pub fn provider_of(host: &str) -> Option<AiProvider> {
    VENDORS.iter().chain([&COMPATIBLE]).find(|vendor| vendor.has_host(host))?.provider
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::upstream::address::UpstreamUrl;
    use url::Url;

    fn host_of(vendor: &Vendor) -> String {
        Url::parse(vendor.base_url).unwrap().host_str().unwrap().to_owned()
    }

    #[test]
    fn every_tile_can_be_saved_and_is_found_again_by_its_host_and_by_its_path() {
        for vendor in &VENDORS {
            assert!(UpstreamUrl::parse(vendor.base_url, false).is_ok(), "{}", vendor.name);
            assert_eq!(vendor_of(Some(&host_of(vendor)), "/api/x", None), Some(vendor));
            assert_eq!(vendor_of(None, &format!("/api/{}", vendor.id), None), Some(vendor));
            assert_eq!(provider_of(&host_of(vendor)), vendor.provider);
            if let Some(body) = vendor.body {
                assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{}", vendor.name);
            }
            // A header's name is needed by that kind alone.
            assert_eq!(!vendor.header.is_empty(), vendor.credential == CredentialKind::Header);
        }
    }

    #[test]
    fn each_vendor_gets_a_call_that_it_answers() {
        let url = |id: &str, base| {
            let example = vendor_of(None, id, None).unwrap().example(base);
            format!("{} {}", example.method, example.path)
        };
        assert_eq!(url("/openai", Some("/v1")), "POST /chat/completions");
        assert_eq!(url("/openai", Some("/")), "POST /v1/chat/completions");
        assert_eq!(url("/anthropic", Some("")), "POST /v1/messages");
        assert_eq!(url("/claude", Some("/v1/")), "POST /messages");
        assert_eq!(url("/gemini", None), "POST /models/gemini-2.5-flash:generateContent");
        assert_eq!(url("/cloudconvert", None), "GET /users/me");
        assert_eq!(url("/s3", Some("/")), "GET /");
    }

    #[test]
    fn a_guess_agrees_with_the_provider_that_was_set() {
        let of = |host, path, provider| vendor_of(host, path, provider).map(|vendor| vendor.name);
        assert_eq!(of(None, "/api/OpenAI-eu", None), Some("OpenAI"));
        assert_eq!(of(None, "/api/s3-mirror", None), None);
        assert_eq!(of(Some("127.0.0.1"), "/api/groq", Some(AiProvider::OpenaiCompatible)), Some("Groq"));
        assert_eq!(of(None, "/api/openai", Some(AiProvider::Anthropic)), Some("Anthropic"));
        let other = vendor_of(Some("openrouter.ai"), "/api/x", None).unwrap();
        assert_eq!((other.name, other.example(None).path.as_str()), ("", "/v1/models"));
        assert_eq!(of(Some("up.example"), "/api/x", None), None);
    }
}
