//! The credentials in a configuration, compared with the sealed ones.

use super::present::Present;
use crate::db::seals::{self, Credential as Sealed};
use crate::error::Failure;
use crate::request::Call;
use contract::config::{CREDENTIAL, ConfigRequest, reference};
use domain::collect;
use domain::config::{Item, Kind};
use domain::credential::Credential;
use domain::credential::seal::SealedCredential;
use domain::error::FieldError;
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use domain::upstream::address::origin_of;
use edge::crypto::open;
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// Stands after the reference of a credential that is not the one that is set.
pub const NEW: &str = " (new value)";

/// The credentials of a configuration, by the paths of their routes.
#[derive(Debug)]
pub struct Credentials<'a>(BTreeMap<&'a str, &'a Credential>);

impl<'a> Credentials<'a> {
    pub fn get(&self, path: &str) -> Option<&'a Credential> {
        self.0.get(path).copied()
    }

    /// Completes the items of routes. A credential shows as the reference of an export, and as another text if it is not
    /// the one that is set: whoever may set one may learn that. One that is kept must be there, and for the same origin.
    pub async fn compare(
        call: &Call,
        caller: &Caller,
        request: &'a ConfigRequest,
        present: &Present,
        wanted: &mut [Item],
    ) -> Result<Self, Failure> {
        let routes = &request.config.routes;
        let given = routes.iter().filter_map(|route| Some((route.path.as_str(), route.credential.as_ref()?)));
        let given: BTreeMap<&str, &Credential> = collect::map(given);
        if !given.is_empty() {
            authorize(caller, Action::SetCredential, Subject::default())?;
        }
        let sealed = seals::all(&call.db()?).await?;
        let sealed: BTreeMap<String, Sealed> =
            collect::map(sealed.into_iter().map(|one| (one.route_id.to_string(), one)));
        let mut errors = vec![];
        for item in wanted.iter_mut().filter(|item| item.kind == Kind::Route) {
            let place = present.place(Kind::Route, &item.key);
            let set = place.and_then(|place| sealed.get(&place.id)).filter(|one| one.origin == origin(item));
            let name = reference(&item.key);
            let shown = match given.get(item.key.as_str()) {
                Some(credential) => match set {
                    Some(set) if !is_same(call, set, credential).await => name + NEW,
                    // Another origin drops the one that is set.
                    None if place.is_some() => name + NEW,
                    _ => name,
                },
                None if !request.kept.contains(&item.key) => continue,
                None if set.is_some() => name,
                None => {
                    let i = routes.iter().position(|route| route.path == item.key).unwrap_or_default();
                    errors.push(FieldError::new(format!("routes.{i}.{CREDENTIAL}"), Invalid::Missing));
                    continue;
                }
            };
            item.fields.insert(CREDENTIAL.to_owned(), Value::String(shown));
        }
        if errors.is_empty() { Ok(Self(given)) } else { Err(errors.into()) }
    }
}

fn origin(item: &Item) -> String {
    let url = item.fields.get("backend_url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
    url.as_ref().map(origin_of).unwrap_or_default()
}

async fn is_same(call: &Call, set: &Sealed, given: &Credential) -> bool {
    let Ok(sealed) = set.sealed.parse::<SealedCredential>() else { return false };
    let opened = open(&sealed, &set.route_id, &set.origin, &call.config.credential_keys).await;
    opened.is_ok_and(|opened: Credential| opened == *given)
}
