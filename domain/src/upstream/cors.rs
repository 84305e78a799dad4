//! CORS (Fetch standard, section 3.2): off unless the route lists origins.

/// The CORS headers for a browser of a listed origin. `None` from [`allow`] means no header at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsGrant {
    /// The origin as it was sent; never `*`, so that a cache cannot widen it.
    pub origin: String,
}

/// Time for which a browser may keep the response to a preflight, in seconds.
pub const PREFLIGHT_MAX_AGE_S: u32 = 600;

/// Returns what a browser of `origin` is granted on a route that lists `origins`.
pub fn allow(origins: &[String], origin: &str) -> Option<CorsGrant> {
    is_listed(origins, origin).then(|| CorsGrant { origin: origin.to_owned() })
}

/// Whether `origin` is in `list`, compared exactly; `*` lists every origin.
pub fn is_listed(list: &[String], origin: &str) -> bool {
    list.iter().any(|o| o == "*" || o == origin)
}

/// Whether a text may be in a list of origins: `*`, or scheme, host and port with no path.
pub fn is_origin(text: &str) -> bool {
    text == "*"
        || url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parity fault 8: CORS `*` with credentials.
    #[test]
    fn only_listed_origins_are_allowed() {
        assert_eq!(allow(&[], "https://app.example"), None);
        let listed = ["https://app.example".to_owned()];
        assert_eq!(allow(&listed, "https://app.example").unwrap().origin, "https://app.example");
        assert_eq!(allow(&listed, "https://app.example.evil.example"), None);
        assert_eq!(allow(&listed, "null"), None);
    }

    #[test]
    fn origins_have_no_path() {
        assert!(is_origin("https://a.example") && is_origin("http://localhost:3000") && is_origin("*"));
        assert!(!is_origin("https://a.example/") && !is_origin("a.example") && !is_origin("null"));
    }
}
