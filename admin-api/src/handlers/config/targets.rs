//! The receivers of channels in a configuration, compared with the sealed ones.

use super::credentials::NEW;
use super::present::Present;
use crate::alerts::receiver::open;
use crate::db::channels;
use crate::error::Failure;
use crate::request::Call;
use contract::config::{ConfigRequest, TARGET, reference_of_target};
use domain::alert::channel::Target;
use domain::collect;
use domain::config::{Item, Kind};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use serde_json::Value;
use std::collections::BTreeMap;

/// The receivers of a configuration, by the names of their channels.
#[derive(Debug)]
pub struct Targets<'a>(BTreeMap<String, &'a Target>);

impl<'a> Targets<'a> {
    pub fn get(&self, key: &str) -> Option<&'a Target> {
        self.0.get(key).copied()
    }

    /// Completes the items of channels, as those of routes are with their credentials.
    pub async fn compare(
        call: &Call,
        caller: &Caller,
        request: &'a ConfigRequest,
        present: &Present,
        wanted: &mut [Item],
    ) -> Result<Self, Failure> {
        let given = request.config.channels.iter();
        let given: Vec<_> = given.filter_map(|channel| Some((channel, channel.target.as_ref()?))).collect();
        for (channel, _) in &given {
            let team = channel.team_id.as_ref();
            authorize(caller, Action::ManageChannels, Subject { team, created_by: None })?;
        }
        let given: BTreeMap<String, &Target> =
            collect::map(given.into_iter().map(|(channel, target)| (channel.key(), target)));
        let mut errors = vec![];
        for item in wanted.iter_mut().filter(|item| item.kind == Kind::Channel) {
            let place = present.place(Kind::Channel, &item.key);
            let name = reference_of_target(&item.key);
            let shown = match (given.get(&item.key), place) {
                (Some(target), Some(place)) if !is_same(call, &place.id, target).await? => name + NEW,
                (None, None) => {
                    let team = item.fields.get("team_id").and_then(Value::as_str).map(TeamId::from);
                    authorize(
                        caller,
                        Action::ReadChannel,
                        Subject { team: team.as_ref(), created_by: None },
                    )?;
                    let i = request.config.channels.iter().position(|channel| channel.key() == item.key);
                    let field = format!("channels.{}.{TARGET}", i.unwrap_or_default());
                    errors.push(FieldError::new(field, Invalid::Missing));
                    continue;
                }
                // A channel always has a receiver, so one that is not given stays.
                _ => name,
            };
            item.fields.insert(TARGET.to_owned(), Value::String(shown));
        }
        if errors.is_empty() { Ok(Self(given)) } else { Err(errors.into()) }
    }
}

async fn is_same(call: &Call, id: &str, given: &Target) -> Result<bool, Failure> {
    let Some(stored) = channels::get(&call.db()?, id).await? else { return Ok(false) };
    let opened = open(id, &stored.sealed, &call.config.credential_keys).await;
    Ok(opened.is_ok_and(|opened| opened == given.check(call.config.addresses, &mut vec![]).0))
}
