//! Routes, and the table that tells which route a path belongs to.

use crate::access::path::{MAX_PATH_LEN, RequestPath, RoutePath, is_under};
use crate::access::rule::Rule;
use crate::encoding::percent_decode;
use crate::upstream::Mount;
use crate::upstream::behaviour::Behaviour;
use crate::upstream::target::Target;
use std::collections::HashMap;
use std::sync::Arc;

/// A route as the gateway knows it: which calls it takes, where they go, and how they are treated.
#[derive(Clone, Debug)]
pub struct Route {
    /// The calls that it takes.
    pub rule: Rule,
    /// The upstream that they go to, with its credential.
    pub target: Target,
    /// The treatment of its calls.
    pub behaviour: Behaviour,
}

impl Route {
    /// The route's upstream as clients see it.
    pub fn mount(&self) -> Mount<'_> {
        Mount { path: &self.rule.path, upstream: &self.target.upstream }
    }
}

impl AsRef<Rule> for Route {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

/// All routes, ready to be matched: whole ones in the gateway, bare [`Rule`]s where a decision is only explained.
#[derive(Clone, Debug)]
pub struct RouteTable<R = Route> {
    /// `None` stands for a route that cannot be used: a shorter one must not take its calls.
    by_path: HashMap<String, Option<Arc<R>>>,
    /// Paths of routes below another route, as [`as_upstreams_may_read`] reads them.
    deeper: HashMap<String, String>,
    /// Whether tokens of the legacy form are looked up at all.
    pub legacy_tokens: bool,
    /// Version of the table; 0 if it is the earlier system's.
    pub version: u64,
}

impl<R: AsRef<Rule>> RouteTable<R> {
    /// Makes the table. If two routes have one path, the later wins; D1 keeps paths unique.
    pub fn new(routes: impl IntoIterator<Item = R>, legacy_tokens: bool, version: u64) -> Self {
        let by_path =
            routes.into_iter().map(|r| (r.as_ref().path.as_str().to_owned(), Some(Arc::new(r)))).collect();
        let mut table = Self { by_path, deeper: HashMap::new(), legacy_tokens, version };
        let deeper = table.by_path.keys().filter(|path| table.is_deeper(path));
        table.deeper = deeper.map(|path| (path.to_ascii_lowercase(), path.clone())).collect();
        table
    }

    /// Blocks a path: calls under it find no route.
    pub fn block(&mut self, path: RoutePath) {
        if self.is_deeper(path.as_str()) {
            self.deeper.insert(path.as_str().to_ascii_lowercase(), path.as_str().to_owned());
        }
        self.by_path.insert(path.into(), None);
    }

    fn is_deeper(&self, path: &str) -> bool {
        prefixes(path).skip(1).any(|prefix| self.by_path.contains_key(prefix))
    }

    /// Returns the routes that can be used, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.by_path.values().flatten()
    }

    /// Finds the route with the longest path that is a prefix of `path` by whole segments. It takes one look-up per
    /// segment of the request, however many routes there are.
    ///
    /// A deeper route also guards the paths below it: if the upstream may read the path as one of the deeper route,
    /// though it is written differently, no route is found.
    pub fn find(&self, path: &RequestPath) -> Option<&Arc<R>> {
        // No route's path is longer, and a request's may be made of slashes alone.
        let path = path.as_str();
        let head = path.get(..path.floor_char_boundary(MAX_PATH_LEN + 1)).unwrap_or_default();
        let (found, route) = prefixes(head).find_map(|prefix| Some((prefix, self.by_path.get(prefix)?)))?;
        if !self.deeper.is_empty() && may_be_read_otherwise(path) && self.is_fenced(path, found) {
            return None;
        }
        route.as_ref()
    }

    /// Whether some upstream may read `path`, which matched `found`, as one below a deeper route.
    fn is_fenced(&self, path: &str, found: &str) -> bool {
        let read = as_upstreams_may_read(path);
        let head = read.get(..read.floor_char_boundary(MAX_PATH_LEN + 1)).unwrap_or_default();
        prefixes(head)
            .take_while(|prefix| prefix.len() > found.len())
            .filter_map(|prefix| self.deeper.get(prefix))
            .any(|deeper| is_under(deeper, found) && !is_under(path, deeper))
    }
}

/// A route table and the routes that could not be read, by path or id: one bad entry must not take
/// all the others with it.
#[derive(Debug)]
pub struct ParsedRoutes {
    /// The routes that could be read; paths of the others are blocked.
    pub table: RouteTable,
    /// Path or id of each route that could not be read.
    pub unreadable: Vec<String>,
}

/// Returns `path` and its shorter prefixes by whole segments, the longest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |prefix| prefix.get(..prefix.rfind('/')?))
}

fn may_be_read_otherwise(path: &str) -> bool {
    path.contains(|c: char| c.is_ascii_uppercase() || matches!(c, '%' | ';' | '\\'))
        || ["//", "./"].iter().any(|pair| path.contains(pair))
        || path.ends_with('.')
}

/// Returns a path as the most lenient of upstreams reads it: percent-decoded twice, `\` for `/`, parameters
/// behind `;` dropped (Tomcat), empty segments merged (nginx), letters in lower case (IIS).
fn as_upstreams_may_read(path: &str) -> String {
    let decoded = percent_decode(&percent_decode(path.as_bytes()));
    let text = String::from_utf8_lossy(&decoded).to_ascii_lowercase();
    let mut read = String::with_capacity(text.len());
    for segment in text.split(['/', '\\']) {
        let bare = segment.split(';').next().unwrap_or_default().trim_end_matches(['.', ' ']);
        if !bare.is_empty() {
            read.push('/');
            read.push_str(bare);
        }
    }
    read
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::upstream::address::UpstreamUrl;
    use crate::upstream::target::RouteCredential;
    use proptest::prelude::*;

    /// A rule of the path's own id that takes every method.
    pub(crate) fn rule(path: &str) -> Rule {
        let id = format!("rte_{path}").as_str().into();
        Rule { id, path: path.parse().unwrap(), tags: vec![], methods: vec![] }
    }

    pub(crate) fn route(path: &str, upstream: &str) -> Route {
        Route {
            rule: rule(path),
            target: Target {
                upstream: UpstreamUrl::parse(upstream, false).unwrap(),
                credential: RouteCredential::None,
            },
            behaviour: Behaviour::default(),
        }
    }

    fn table(paths: &[&str]) -> RouteTable {
        RouteTable::new(paths.iter().map(|p| route(p, "https://x.example")), false, 1)
    }

    fn found(table: &RouteTable, path: &str) -> Option<String> {
        table.find(&RequestPath::parse(path)?).map(|r| r.rule.path.as_str().to_owned())
    }

    #[test]
    fn whole_segments_match_and_the_longest_wins() {
        let table = table(&["/api/image", "/api", "/api/image/edit"]);
        assert_eq!(found(&table, "/api/image").as_deref(), Some("/api/image"));
        assert_eq!(found(&table, "/api/image/").as_deref(), Some("/api/image"));
        assert_eq!(found(&table, "/api/images").as_deref(), Some("/api"));
        assert_eq!(found(&table, "/api/image/edit/1").as_deref(), Some("/api/image/edit"));
        assert_eq!(found(&table, "/apiary"), None);
        assert_eq!(found(&table, "/"), None);
    }

    /// Parity fault 1: `/api/perplexity.evil.example/x` matched `/api/perplexity`.
    #[test]
    fn a_longer_segment_does_not_match_a_shorter_route() {
        assert_eq!(found(&table(&["/api/perplexity"]), "/api/perplexity.evil.example/x"), None);
    }

    #[test]
    fn dot_segments_are_resolved_before_matching() {
        assert_eq!(RequestPath::parse("/api/a/../b/%2e%2E/c").unwrap().as_str(), "/api/c");
        assert_eq!(RequestPath::parse("/a//b/%2F/").unwrap().as_str(), "/a//b/%2F/");
    }

    #[test]
    fn needless_encoding_does_not_lead_to_another_route() {
        let table = table(&["/api/x", "/api/x/admin"]);
        assert_eq!(found(&table, "/api/x/%61dmin/%7e%2F%zz%").as_deref(), Some("/api/x/admin"));
        let kept = RequestPath::parse("/a/%61%2Fb%C3%A9%2f%zz%").unwrap();
        assert_eq!(kept.as_str(), "/a/a%2Fb%C3%A9%2f%zz%");
    }

    /// nginx merges slashes, Tomcat drops `;parameters`, IIS ignores case.
    #[test]
    fn a_deeper_route_cannot_be_passed_by_writing_its_path_otherwise() {
        let table = table(&["/api/up", "/api/up/admin", "/api/Down/Admin", "/api/Down"]);
        for path in [
            "//admin/x",
            "/admin;a/x",
            "/ADMIN/x",
            "/%2Fadmin/x",
            "/%252Fadmin",
            "/;/admin",
            "/%5Cadmin",
            "/admin%20/x",
            "/admin./x",
            "/ad%6Din;",
            "//aDmin",
        ] {
            assert_eq!(found(&table, &format!("/api/up{path}")), None, "{path}");
        }
        assert_eq!(found(&table, "/api/Down/admin"), None);
        assert_eq!(found(&table, "/api/Down/Admin/a//b;c").as_deref(), Some("/api/Down/Admin"));
        for path in ["", "/", "//a", "/administrator", "/x/admin", "/x;admin", "/x%2Fadmin"] {
            assert_eq!(found(&table, &format!("/api/up{path}")).as_deref(), Some("/api/up"), "{path}");
        }
        assert_eq!(found(&table, "/api/up/admin//x%2F").as_deref(), Some("/api/up/admin"));
    }

    #[test]
    fn a_shorter_route_does_not_take_the_calls_of_one_that_cannot_be_used() {
        let mut table = table(&["/api"]);
        table.block("/api/x".parse().unwrap());
        assert_eq!(found(&table, "/api/x/1"), None);
        assert_eq!(found(&table, "/api/y").as_deref(), Some("/api"));
    }

    #[test]
    fn a_route_is_found_under_a_request_of_any_length() {
        let longest = format!("/{}", "x".repeat(199));
        let table = table(&["/api/a", &longest]);
        assert_eq!(found(&table, &format!("/api/a{}", "/".repeat(20_000))).as_deref(), Some("/api/a"));
        assert_eq!(found(&table, &format!("{longest}/y")).as_deref(), Some(longest.as_str()));
        assert_eq!(found(&table, &format!("{longest}x/y")), None);
    }

    /// The obvious matcher: compare segment lists, keep the longest.
    fn oracle(paths: &[String], request: &str) -> Option<String> {
        let segments: Vec<&str> = request.split('/').collect();
        paths
            .iter()
            .filter(|p| segments.starts_with(&p.split('/').collect::<Vec<_>>()))
            .max_by_key(|p| p.len())
            .cloned()
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_oracle(
            paths in proptest::collection::vec("(/[ab]{1,2}){1,4}", 0..12),
            request in "(/[ab]{0,3}){1,6}",
        ) {
            let refs: Vec<&str> = paths.iter().map(String::as_str).collect();
            let table = table(&refs);
            let route = found(&table, &request);
            let is_fenced = route.is_none() && request.contains("//");
            prop_assert!(is_fenced || route == oracle(&paths, &request));
        }

        #[test]
        fn any_text_is_a_path_or_refused(text in "\\PC{0,40}") {
            if let Ok(path) = text.parse::<RoutePath>() {
                let parsed = RequestPath::parse(path.as_str()).unwrap();
                prop_assert_eq!(parsed.as_str(), path.as_str());
            }
        }
    }
}
