//! The model of a call under the name that it has at another upstream.

use super::ask::{end_of_string, member_at, model_in_path};
use super::form::{is_form, model_in_form};
use super::members::members;
use super::metering::plain;
use crate::access::Permit;
use crate::credential::sigv4::{IN_QUERY, encoded};
use crate::upstream::Mount;
use crate::upstream::settings::Renames;
use serde_json::Value;
use std::sync::Arc;

/// Returns the other names, if the call goes to the second upstream and that knows some models by others.
pub fn names_of(permit: &Permit) -> Option<&Renames> {
    let is_second = !Arc::ptr_eq(permit.origin(), permit.route());
    let failover = permit.route().behaviour.settings.failover.as_ref().filter(|_| is_second)?;
    Some(&failover.models).filter(|models| !models.is_empty())
}

/// Returns the address at an upstream with the model in its path renamed; `None` if it names none of them.
pub fn in_url(url: &str, mount: Mount<'_>, renames: &Renames) -> Option<String> {
    let base = mount.upstream.as_str();
    let base = base.strip_suffix('/').unwrap_or(base);
    let rest = url.strip_prefix(base)?;
    let (path, query) = rest.split_at_checked(rest.find('?').unwrap_or(rest.len()))?;
    let path = plain(path);
    let at = model_in_path(&path)?;
    let new = encoded(renames.get(path.get(at.clone())?)?.as_str()?.as_bytes(), IN_QUERY);
    Some([base, path.get(..at.start)?, &new, path.get(at.end..)?, query].concat())
}

/// Returns a body, JSON or a form, with its `model` renamed and everything else as it is; `None` if it names none of them.
pub fn in_body(body: &[u8], content_type: Option<&str>, renames: &Renames) -> Option<Vec<u8>> {
    let (at, new) = if let Some(content_type) = content_type.filter(|_| is_form(content_type)) {
        let at = model_in_form(body, content_type)?;
        let name = str::from_utf8(body.get(at.clone())?).ok()?;
        (at, renames.get(name)?.as_str()?.to_owned())
    } else {
        let read = members(body, &["model"])?;
        let new = renames.get(read.get("model")?.as_str()?)?.as_str()?;
        let from = member_at(body, b"model")?;
        let length = end_of_string(body.get(from + 1..)?)? + 2;
        (from..from + length, Value::from(new).to_string())
    };
    Some([body.get(..at.start)?, new.as_bytes(), body.get(at.end..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::address::UpstreamUrl;

    fn renames() -> Renames {
        [("gpt-4o", "our \"4o\""), ("gemini-pro", "gemini-eu"), ("v1:0", "arn:x/y")]
            .map(|(a, b)| (a.to_owned(), b.into()))
            .into()
    }

    #[test]
    fn the_model_in_a_body_is_renamed_and_nothing_else() {
        let renamed = |body: &str| {
            in_body(body.as_bytes(), Some("application/json"), &renames())
                .map(|new| String::from_utf8(new).unwrap())
        };
        assert_eq!(
            renamed(r#"{ "messages": [{"model":"gpt-4o"}], "model" : "gpt-4o" , "n":1}"#).unwrap(),
            r#"{ "messages": [{"model":"gpt-4o"}], "model" : "our \"4o\"" , "n":1}"#
        );
        assert_eq!(renamed(r#"{"model":"gpt\u002d4o"}"#).unwrap(), r#"{"model":"our \"4o\""}"#);
        for kept in [
            "",
            "[]",
            r#"{"model":"gpt-4o-mini"}"#,
            r#"{"model":7}"#,
            r#"{"model":"#,
            r#"{"a":{"model":"gpt-4o"}}"#,
            r#"{"model":"gpt-4o","model":"o1"}"#,
        ] {
            assert_eq!(renamed(kept), None, "{kept}");
        }
    }

    #[test]
    fn the_model_of_a_form_is_renamed_and_nothing_else() {
        let form = |model: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--\r\n")
                .into_bytes()
        };
        let kind = Some("multipart/form-data; boundary=b");
        assert_eq!(in_body(&form("gemini-pro"), kind, &renames()), Some(form("gemini-eu")));
        assert_eq!(in_body(&form("gemini"), kind, &renames()), None);
    }

    #[test]
    fn the_model_in_a_path_is_renamed_where_a_vendor_reads_it() {
        let upstream: UpstreamUrl = UpstreamUrl::parse("https://h.example/models/x:y", false).unwrap();
        let path = "/api/x".parse().unwrap();
        let renamed = |url: &str| in_url(url, Mount { path: &path, upstream: &upstream }, &renames());
        for (path, new) in [
            (
                "/openai/deployments/gemini-pro/chat?a=/model/b/",
                "/openai/deployments/gemini-eu/chat?a=/model/b/",
            ),
            ("/v1beta/models/gemini-pro:generateContent", "/v1beta/models/gemini-eu:generateContent"),
            ("/model/v1%3A0/converse", "/model/arn%3Ax%2Fy/converse"),
        ] {
            let renamed = renamed(&format!("https://h.example/models/x:y{path}"));
            assert_eq!(renamed, Some(format!("https://h.example/models/x:y{new}")));
        }
        for kept in [
            "/models/gemini-pro",
            "/gemini-pro/chat",
            "/deployments/gemini-proo/chat",
            "/x?/model/gemini-pro/",
        ] {
            assert_eq!(renamed(&format!("https://h.example/models/x:y{kept}")), None, "{kept}");
        }
    }
}
