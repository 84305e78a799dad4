//! `/api/config`: configuration as a file.

mod credentials;
mod present;
mod step;
mod targets;

use crate::auth::key::refuse_read_only;
use crate::error::Failure;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::config::{ConfigFile, ConfigMode, ConfigReport, ConfigRequest, StepDone};
use contract::error::ApiError;
use credentials::Credentials;
use domain::config::{Deed, Fields, Kind, Step, digest, plan};
use domain::people::role::{Action, Subject, authorize};
use domain::problem::Clash;
use present::Present;
use step::Secrets;
use targets::Targets;

/// The most steps in one request. Each takes at most some twenty of the thousand D1 queries that an invocation may make.
const STEPS: usize = 25;

/// `GET /api/config`
pub async fn export(call: &Call, _: Asked<()>) -> Answer<ConfigFile> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadUpstream, Subject::default())?;
    let present = Present::read(call, caller).await?;
    let of = |kind: Kind| -> Vec<Fields> {
        present.items.iter().filter(|item| item.kind == kind).map(|item| item.fields.clone()).collect()
    };
    let (teams, routes, tokens) = (of(Kind::Team), of(Kind::Route), of(Kind::Token));
    let (prices, channels) = (of(Kind::Price), of(Kind::Channel));
    let left_out = present.left_out.into_iter().chain(present.several_channels).collect();
    respond(ConfigFile { version: 1, teams, routes, tokens, prices, channels, left_out })
}

/// `POST /api/config`
///
/// 1. Check every field; an error changes nothing. Read the system and compare.
/// 2. To apply, require that the plan is the one that the caller has seen, if they name one.
/// 3. Carry out its first steps, each by its own endpoint, which checks the permission for it, requires the version that
///    was read, writes its audit entry and publishes. The first failure ends this.
pub async fn send(call: &Call, asked: Asked<ConfigRequest>) -> Answer<ConfigReport> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadUpstream, Subject::default())?;
    let request = asked.read(call)?;
    if request.mode == ConfigMode::Apply {
        refuse_read_only(caller)?;
    }
    let mut wanted = request.config.items(call.config.addresses, call.now)?;
    let mut present = Present::read(call, caller).await?;
    if let Some(item) =
        wanted.iter().find(|item| item.kind == Kind::Token && present.left_out.contains(&item.key))
    {
        return Err(Failure::conflict("tokens", Clash::SeveralTokens { name: item.key.clone() }));
    }
    if let Some(item) =
        wanted.iter().find(|item| present.several_channels.contains(&item.key) && item.kind == Kind::Channel)
    {
        return Err(Failure::conflict("channels", Clash::SeveralChannels { name: item.key.clone() }));
    }
    let secrets = Secrets {
        credentials: Credentials::compare(call, caller, &request, &present, &mut wanted).await?,
        targets: Targets::compare(call, caller, &request, &present, &mut wanted).await?,
    };
    let steps = plan(&present.items, &wanted, &present.made, request.prune);
    let mut done: Vec<StepDone> = vec![];
    if request.mode == ConfigMode::Apply {
        if request.digest.as_ref().is_some_and(|seen| *seen != digest(&steps)) {
            return Err(ApiError::PreconditionFailed.into());
        }
        for step in steps.iter().take(STEPS) {
            let result = step::carry_out(call, step, &mut present, &wanted, &secrets).await?;
            let (kind, key) = (step.kind, step.key.clone());
            let (token, error) = result.map_or_else(|error| (None, Some(error)), |token| (token, None));
            let is_last = error.is_some() || touches_tokens(step);
            done.push(StepDone { kind, key, error, token });
            if is_last {
                break;
            }
        }
    }
    let count = done.iter().filter(|step| step.error.is_none()).count();
    let rest = steps.get(count..).unwrap_or_default();
    let (left, digest) = (rest.len(), digest(rest));
    respond(ConfigReport { steps, done, left, digest })
}

/// A team's new bounds increment the version of its tokens, so those must be read again.
fn touches_tokens(step: &Step) -> bool {
    step.kind == Kind::Team && matches!(step.deed, Deed::Update { .. })
}
