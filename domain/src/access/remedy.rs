//! Scopes that would admit a call that was refused for its scope.

use crate::access::path::RequestPath;
use crate::access::rule::Rule;
use crate::access::scope::{Scope, cap_to_check, within_cap};

/// Returns the scopes of which any one, added to those that a token has, admits `method` on `path`, the narrowest first.
/// None does if the team's `cap` excludes the call.
pub fn scopes_for(
    given: &[Scope],
    cap: Option<&[Scope]>,
    rule: &Rule,
    method: &str,
    path: &RequestPath,
) -> Vec<Scope> {
    let below = format!("{}/*", rule.path.as_str());
    let texts = [
        format!("{method} {}", path.as_str()),
        format!("{method} {below}"),
        below,
        format!("route:{}", rule.id),
    ];
    let admits = |scope: &Scope| {
        let scopes: Vec<Scope> = given.iter().chain([scope]).cloned().collect();
        let inside = within_cap(&scopes, cap);
        let covers = |scopes: &[Scope]| scopes.iter().any(|scope| scope.covers(method, path, rule));
        covers(&inside) && cap_to_check(&scopes, cap, &inside).is_none_or(|bounds| covers(&bounds))
    };
    texts.iter().filter_map(|text| text.parse().ok()).filter(admits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::record::TokenRecord;
    use crate::access::{Call, decide};
    use crate::route::RouteTable;
    use crate::route::tests::route;
    use serde_json::json;
    use std::sync::Arc;

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn texts(given: &[&str], cap: Option<&[&str]>, method: &str, path: &str) -> Vec<String> {
        let mut x = route("/api/x", "https://h.example");
        x.rule.id = "rte_1".into();
        let path = RequestPath::parse(path).unwrap();
        let cap = cap.map(scopes);
        let found = scopes_for(&scopes(given), cap.as_deref(), &x.rule, method, &path);
        found.into_iter().map(String::from).collect()
    }

    #[test]
    fn the_narrowest_scope_comes_first_and_a_cap_leaves_out_what_it_excludes() {
        let all = ["POST /api/x/a/b", "POST /api/x/*", "/api/x/*", "route:rte_1"];
        assert_eq!(texts(&[], None, "POST", "/api/x/a/b"), all);
        assert_eq!(texts(&["y"], Some(&["*"]), "POST", "/api/x/a/b"), all);
        assert_eq!(texts(&[], Some(&["x"]), "POST", "/api/x/a/b"), all[..3]);
        assert_eq!(texts(&[], Some(&["POST /api/x/*"]), "POST", "/api/x/a/b"), all[..3]);
        assert_eq!(texts(&[], Some(&["y"]), "POST", "/api/x/a/b"), [""; 0]);
        assert_eq!(texts(&[], None, "GET", "/api/x"), ["GET /api/x", "route:rte_1"]);
        assert_eq!(texts(&[], None, "GET", "/api/x/%2e%2e%2fy"), ["route:rte_1"], "no path is trusted");
    }

    #[test]
    fn each_scope_makes_the_gateway_admit_the_call() {
        let mut tried = 0;
        for base in ["/api", "/api/x", "/api/x/y"] {
            for cap in
                [None, Some("*"), Some("x"), Some("/api/x/*"), Some("GET /api/x/y"), Some("route:rte_1")]
            {
                for (method, path) in [("GET", "/api/x/y"), ("POST", "/api/x/y/z")] {
                    let mut route = route(base, "https://h.example");
                    route.rule.id = "rte_1".into();
                    let table = RouteTable::new([route.clone()], false, 1);
                    let path = RequestPath::parse(path).unwrap();
                    let cap = cap.map(|cap| scopes(&[cap]));
                    for scope in scopes_for(&[], cap.as_deref(), &route.rule, method, &path) {
                        let given = vec![scope];
                        let inside = within_cap(&given, cap.as_deref());
                        let mut token: TokenRecord = serde_json::from_value(json!({
                            "v": 2, "id": "t", "name": "n", "team": "x", "scopes": [], "state": "active", "version": 1,
                        }))
                        .unwrap();
                        token.cap = cap_to_check(&given, cap.as_deref(), &inside);
                        token.scopes = inside;
                        let call = Call { method, path: &path, client_ip: None, now: 0 };
                        assert!(decide(&Arc::new(token), &table, &call).is_ok(), "{base} {given:?} {cap:?}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 30, "{tried}");
    }
}
