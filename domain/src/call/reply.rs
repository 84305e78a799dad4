//! The headers of a response to the client: those that the gateway adds to every response, errors included.

use crate::limit::ledger::{LimitUse, headers as limit_headers};
use crate::time::UnixMs;
use crate::upstream::cors;
use crate::upstream::headers::response::{
    Edit, Edits, RATE_LIMIT, RATE_LIMIT_POLICY, Returning, name_beside,
};
use crate::upstream::headers::{REQUEST_ID, SERVER_TIMING};

/// The gateway's own part in a response.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// The id that the gateway gave the call.
    pub request_id: &'a str,
    /// Milliseconds to the decision.
    pub auth_ms: i64,
    /// Milliseconds from sending to the first byte.
    pub upstream_ms: i64,
    /// Uses of the token's limits, if they were counted.
    pub uses: &'a [LimitUse],
    /// The time of the response, unix ms.
    pub now: UnixMs,
    /// The browser's origin and those that the route lists, if it lists any.
    pub cors: Option<(&'a str, &'a [String])>,
}

/// Returns the changes to the `headers` of a response, names in lower case and each `Set-Cookie` by itself.
/// `returning` is absent if the response is the gateway's own.
pub fn edits(returning: Option<&Returning>, headers: &[(String, String)], ours: &Ours) -> Edits {
    let mut done = returning.map(|returning| returning.edits(headers)).unwrap_or_default();
    let edits = &mut done.edits;
    edits.push(Edit::Set(REQUEST_ID.to_owned(), ours.request_id.to_owned()));
    let timing = format!("auth;dur={}, upstream;dur={}", ours.auth_ms, ours.upstream_ms);
    edits.push(Edit::Append(SERVER_TIMING.to_owned(), timing));
    tell_limits(headers, ours, edits);
    if let Some((origin, listed)) = ours.cors {
        // Even if no origin is allowed, because the response to an allowed one would differ.
        edits.push(Edit::Append("vary".to_owned(), "Origin".to_owned()));
        if let Some(grant) = cors::allow(listed, origin) {
            edits.push(Edit::Set("access-control-allow-origin".to_owned(), grant.origin));
            let exposed = exposed(headers, edits);
            edits.push(Edit::Set("access-control-expose-headers".to_owned(), exposed));
        }
    }
    done
}

/// Tells the client how much of its limits is left. The upstream's own limit headers stay, under other names.
fn tell_limits(headers: &[(String, String)], ours: &Ours, edits: &mut Vec<Edit>) {
    let Some((policy, standing)) = limit_headers(ours.uses, ours.now) else { return };
    for (name, own) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
        let withheld = |edit: &Edit| matches!(edit, Edit::Delete(deleted) if deleted == name);
        let theirs = headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        if let Some(theirs) = theirs.filter(|_| !edits.iter().any(withheld)) {
            edits.push(Edit::Delete(name.to_owned()));
            edits.push(Edit::Append(name_beside(name, theirs, &own).to_owned(), theirs.clone()));
        }
        edits.push(Edit::Append(name.to_owned(), own));
    }
}

/// Lists the names that a page may read. Every one is listed, since `*` is taken literally if cookies are sent along.
fn exposed(headers: &[(String, String)], edits: &[Edit]) -> String {
    let mut names: Vec<&str> = vec![];
    let add = |names: &mut Vec<_>, name| {
        if let Err(place) = names.binary_search(&name) {
            names.insert(place, name);
        }
    };
    for (name, _) in headers {
        add(&mut names, name);
    }
    for edit in edits {
        match edit {
            Edit::Delete(name) => names.retain(|known| known != name),
            Edit::Set(name, _) | Edit::Append(name, _) => add(&mut names, name),
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::LimitKind;

    fn ours<'a>() -> Ours<'a> {
        Ours { request_id: "req_1", auth_ms: 1, upstream_ms: 2, uses: &[], now: 0, cors: None }
    }

    fn set(name: &str, value: &str) -> Edit {
        Edit::Set(name.to_owned(), value.to_owned())
    }

    fn append(name: &str, value: &str) -> Edit {
        Edit::Append(name.to_owned(), value.to_owned())
    }

    #[test]
    fn every_response_has_an_id_and_its_times() {
        let wanted =
            vec![set("x-request-id", "req_1"), append("server-timing", "auth;dur=1, upstream;dur=2")];
        assert_eq!(edits(None, &[], &ours()).edits, wanted);
    }

    #[test]
    fn limits_are_told_beside_the_upstreams_own() {
        let uses =
            [LimitUse { kind: LimitKind::CallsPerMinute, limit: 5, used: 2, reserved: 0, resets_at: 1_500 }];
        let headers = [("ratelimit".to_owned(), "limit=9".to_owned())];
        let made = edits(None, &headers, &Ours { uses: &uses, ..ours() });
        assert_eq!(
            made.edits.get(2..).unwrap(),
            [
                append("ratelimit-policy", "\"calls-per-minute\";q=5;w=60"),
                Edit::Delete("ratelimit".to_owned()),
                append("x-upstream-ratelimit", "limit=9"),
                append("ratelimit", "\"calls-per-minute\";r=3;t=2"),
            ]
        );
    }

    #[test]
    fn a_page_of_a_listed_origin_may_read_every_header() {
        let listed = ["https://app.example".to_owned()];
        let headers = [("x-total-count".to_owned(), "7".to_owned())];
        let of = |origin| edits(None, &headers, &Ours { cors: Some((origin, &listed)), ..ours() }).edits;
        let edits = of("https://app.example");
        assert!(edits.contains(&set("access-control-allow-origin", "https://app.example")));
        let names = "access-control-allow-origin, server-timing, vary, x-request-id, x-total-count";
        assert_eq!(edits.last(), Some(&set("access-control-expose-headers", names)));
        assert_eq!(of("https://other.example").last(), Some(&append("vary", "Origin")));
    }
}
