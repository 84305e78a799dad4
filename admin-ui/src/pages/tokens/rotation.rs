//! The progress of a rotation: which clients already use the new secret, and a way to end the old ones.

use crate::api::{Api, CallError, use_api};
use crate::clock;
use crate::components::{Button, CardHead, Column, DataTable, FormDialog, Row, Submission, Time, use_saved};
use crate::format;
use crate::hooks::{setter, use_action, use_interval_while_visible, use_remote};
use crate::i18n::{I18n, use_i18n};
use contract::tokens::{EndTokenSecrets, SecretView, TokenChanged, TokenView};
use contract::usage::{CallView, EventQuery, ListEvents};
use domain::time::{DAY_MS, UnixMs};
use patternfly_yew::prelude::{ButtonVariant, Card, CardBody};
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::prelude::*;

/// The time before a rotation in which a client counts as one that has to move.
const BEFORE_MS: i64 = 7 * DAY_MS;
const REFRESH_MS: u32 = 10_000;
/// The calls that are read of each secret: as many as one page has.
const CALLS: u32 = 200;

/// A client as people know it: its workflow, or else its program and address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Client {
    name: String,
    ip: Option<String>,
}

impl Client {
    fn of(call: &CallView) -> Self {
        match (&call.label, &call.user_agent) {
            // The calls of one workflow may come from several addresses.
            (Some(label), _) => Self { name: label.clone(), ip: None },
            (None, agent) => {
                Self { name: agent.clone().unwrap_or_else(|| "–".to_owned()), ip: call.client_ip.clone() }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Its newest call used an old secret, after the rotation.
    Old,
    /// It has not called since.
    Waiting,
    /// Its newest call used the new secret.
    Moved,
}

/// A client, how far it is, and when it called last.
type Line = (Progress, Client, UnixMs);

/// Tells of each client how far it is; those that have not moved come first.
fn lines(old: &[CallView], new: &[CallView], rotated_at: UnixMs) -> Vec<Line> {
    let mut last: BTreeMap<Client, (Option<UnixMs>, Option<UnixMs>)> = BTreeMap::new();
    for call in old {
        let at = &mut last.entry(Client::of(call)).or_default().0;
        *at = (*at).max(Some(call.at));
    }
    for call in new {
        let at = &mut last.entry(Client::of(call)).or_default().1;
        *at = (*at).max(Some(call.at));
    }
    let line = |(client, (old, new)): (Client, (Option<UnixMs>, Option<UnixMs>))| {
        let at = old.max(new).unwrap_or_default();
        let progress = match (old, new) {
            (old, new) if new >= old => Progress::Moved,
            _ if at < rotated_at => Progress::Waiting,
            _ => Progress::Old,
        };
        (progress, client, at)
    };
    let mut lines: Vec<Line> = last.into_iter().map(line).collect();
    lines.sort_by_key(|(progress, _, at)| (*progress, -at));
    lines
}

/// Reads the newest calls with any of some secrets.
async fn calls_with(
    api: &Api,
    token: &TokenView,
    secrets: &[&SecretView],
    from: UnixMs,
) -> Result<Vec<CallView>, CallError> {
    let mut calls = vec![];
    for secret in secrets {
        let query = EventQuery {
            token_id: Some(token.id.clone()),
            secret: Some(secret.id.clone()),
            from: Some(from.to_string()),
            limit: Some(CALLS),
            ..EventQuery::default()
        };
        calls.extend(api.request::<ListEvents>().query(&query).send().await?.items);
    }
    Ok(calls)
}

/// Returns the newest secret, and the others that still work; `None` if none does.
fn in_grace(secrets: &[SecretView], now: UnixMs) -> Option<(&SecretView, Vec<&SecretView>)> {
    let (newest, others) = secrets.split_first()?;
    let old: Vec<_> = others.iter().filter(|one| one.ends_at.is_some_and(|end| end > now)).collect();
    (!old.is_empty()).then_some((newest, old))
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RotationProps {
    pub token: Rc<TokenView>,
    /// Newest first.
    pub secrets: Vec<SecretView>,
    /// Whether the reader may end the old secrets.
    pub may_end: bool,
    pub on_changed: Callback<()>,
}

/// The clients of a token during the grace of an old secret; nothing otherwise.
#[component]
pub fn Rotation(props: &RotationProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let is_ending = use_state_eq(|| false);
    // The times of last use change all the time, and nothing that is asked depends on them.
    let asked: Vec<_> = props.secrets.iter().map(|secret| (secret.id.clone(), secret.ends_at)).collect();
    let read = {
        let (token, secrets) = (Rc::clone(&props.token), props.secrets.clone());
        use_remote((props.token.id.clone(), asked), move |_| {
            let (api, token, secrets) = (api.clone(), Rc::clone(&token), secrets.clone());
            async move {
                let Some((newest, old)) = in_grace(&secrets, clock::now()) else { return Ok(vec![]) };
                let before = calls_with(&api, &token, &old, newest.created_at - BEFORE_MS).await?;
                let after = calls_with(&api, &token, &[newest], newest.created_at).await?;
                Ok(lines(&before, &after, newest.created_at))
            }
        })
    };
    use_interval_while_visible(REFRESH_MS, read.on_refresh.clone());
    let Some((_, old)) = in_grace(&props.secrets, clock::now()) else { return Html::default() };
    let used_at = old.iter().filter_map(|secret| secret.last_used_at).max();
    let lines = read.state.ready().cloned().unwrap_or_default();
    html! {
        <Card>
            <CardHead title={i18n.t("rotation.title")}>
                if props.may_end {
                    <Button variant={ButtonVariant::Secondary} label={i18n.t("rotation.end").to_string()} onclick={setter(&is_ending).reform(|_: MouseEvent| true)} />
                }
            </CardHead>
            <CardBody>
                <p>
                    <strong role="status">{ headline(&i18n, &lines) }</strong>{ " " }
                    if let Some(at) = used_at {
                        { i18n.t("rotation.last-old") }{ " " }<Time {at} is_relative=true />
                    }
                </p>
                if !lines.is_empty() {
                    { table(&i18n, &lines) }
                }
                <p class="tm-subtle">{ i18n.t("rotation.note") }</p>
            </CardBody>
            if *is_ending {
                <EndNow token={Rc::clone(&props.token)} {lines} on_close={setter(&is_ending).reform(|()| false)} on_changed={props.on_changed.clone()} />
            }
        </Card>
    }
}

fn headline(i18n: &I18n, lines: &[Line]) -> AttrValue {
    let moved = lines.iter().filter(|(progress, ..)| *progress == Progress::Moved).count();
    match (moved, lines.len()) {
        (_, 0) => i18n.t("rotation.none"),
        (moved, all) if moved == all => i18n.t("rotation.all"),
        (moved, all) => i18n.fill(
            "rotation.progress",
            &[("moved", &format::number(i18n, moved as u64)), ("clients", &format::number(i18n, all as u64))],
        ),
    }
}

fn table(i18n: &I18n, lines: &[Line]) -> Html {
    let columns = vec![
        Column::new(i18n.t("calls.client")),
        Column::new(i18n.t("rotation.state")),
        Column::new(i18n.t("token.last-used")),
    ];
    let row = |(progress, client, at): &Line| -> Row {
        let (icon, text) = match progress {
            Progress::Old => ("fas fa-exclamation-triangle", i18n.t("rotation.old")),
            Progress::Waiting => ("fas fa-hourglass-half", i18n.t("rotation.waiting")),
            Progress::Moved => ("fas fa-check-circle", i18n.t("rotation.moved")),
        };
        let ip = client.ip.clone().unwrap_or_default();
        let cells = vec![
            html! {
                <>
                    <span class="tm-clip" dir="auto" title={client.name.clone()}>{ &client.name }</span>
                    <div class="tm-subtle">{ &ip }</div>
                </>
            },
            html! { <><i class={icon} aria-hidden="true" />{ " " }{ text }</> },
            html! { <Time at={*at} is_relative=true /> },
        ];
        (format!("{} {ip}", client.name), cells)
    };
    html! { <DataTable label={i18n.t("rotation.title")} {columns} rows={lines.iter().map(row).collect::<Vec<_>>()} /> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct EndNowProps {
    token: Rc<TokenView>,
    lines: Rc<Vec<Line>>,
    on_close: Callback<()>,
    on_changed: Callback<()>,
}

/// Ends the old secrets, after showing which clients have not moved.
#[component]
fn EndNow(props: &EndNowProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let id = props.token.id.clone();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<EndTokenSecrets>().path(&[id.as_str()]).send().await }
        },
        on_saved.reform(|changed: TokenChanged| changed.propagation),
    );
    let left: Vec<Line> =
        props.lines.iter().filter(|(progress, ..)| *progress != Progress::Moved).cloned().collect();
    html! {
        <FormDialog label={i18n.t("rotation.end")} title={i18n.fill("rotation.end-title", &[("name", &props.token.name)])} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true is_wide=true>
            <p>{ i18n.t("rotation.end-advice") }</p>
            if left.is_empty() {
                <p>{ i18n.t("rotation.end-none") }</p>
            } else {
                <p>{ i18n.t("rotation.end-left") }</p>
                { table(&i18n, &left) }
            }
        </FormDialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: UnixMs, label: Option<&str>, agent: &str, ip: &str) -> CallView {
        serde_json::from_value(serde_json::json!({
            "id": "e", "at": at, "token_id": "tok_1", "token_name": null, "team_id": "t", "route_id": null, "route_path": null,
            "method": "GET", "path": "/", "status": 200, "outcome": "ok", "latency_ms": 1, "gateway_ms": 1, "duration_ms": null,
            "label": label, "bytes_in": null, "bytes_out": null, "client_ip": ip, "user_agent": agent, "country": null,
            "request_id": "r", "model": null, "prompt_tokens": null, "completion_tokens": null, "cached_tokens": null,
            "cache_write_tokens": null, "reasoning_tokens": null, "cost_micros": null}))
        .unwrap()
    }

    #[test]
    fn a_client_has_moved_if_its_newest_call_used_the_new_secret() {
        let old = [
            call(150, None, "n8n", "203.0.113.7"),
            call(120, Some("Digest"), "n8n", "203.0.113.8"),
            call(90, None, "curl", "203.0.113.9"),
        ];
        // One workflow at another address; another program at the address of one that has not moved.
        let new = [call(130, Some("Digest"), "n8n", "203.0.113.1"), call(160, None, "curl", "203.0.113.7")];
        let found: Vec<(Progress, String, UnixMs)> = lines(&old, &new, 100)
            .into_iter()
            .map(|(progress, client, at)| (progress, client.name, at))
            .collect();
        let wanted = [
            (Progress::Old, "n8n", 150),
            (Progress::Waiting, "curl", 90),
            (Progress::Moved, "curl", 160),
            (Progress::Moved, "Digest", 130),
        ];
        assert_eq!(found, wanted.map(|(progress, name, at)| (progress, name.to_owned(), at)));
    }

    #[test]
    fn a_client_that_goes_back_to_the_old_secret_has_not_moved() {
        let found = lines(&[call(200, None, "n8n", "a")], &[call(150, None, "n8n", "a")], 100);
        assert_eq!(found.first().map(|(progress, ..)| *progress), Some(Progress::Old));
    }
}
