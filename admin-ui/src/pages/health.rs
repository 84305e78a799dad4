//! The health of the system and its dependencies.

mod canary;

use crate::api::use_api;
use crate::components::{AsyncView, Button, Column, DataTable, Page};
use crate::format;
use crate::hooks::{use_interval_while_visible, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use canary::CanaryCard;
use contract::upkeep::{GetHealthDetailed, HealthDetailed, HealthStatus};
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

const REFRESH_S: u32 = 30;

/// `/system-health`
#[component]
pub fn HealthPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let sees_canary = can(&use_me(), Action::ReadPublication, Subject::default());
    let origin = AttrValue::from(api.origin().to_owned());
    let health = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<GetHealthDetailed>().send_or(503).await }
    });
    use_interval_while_visible(REFRESH_S * 1000, health.on_refresh.clone());

    let render = {
        let i18n = i18n.clone();
        Callback::from(move |health: Rc<HealthDetailed>| card(&i18n, &health, &origin))
    };
    let actions = html! {
        <>
            if let Some(health) = health.state.ready() {
                <span class="tm-subtle">{ checked_at(&i18n, health.checked_at) }</span>
            }
            <Button
                variant={ButtonVariant::Secondary}
                icon={Icon::SyncAlt}
                label={i18n.t("health.refresh").to_string()}
                loading={health.is_loading}
                onclick={health.on_refresh.reform(|_| ())}
            />
        </>
    };
    html! {
        <Page title={i18n.t("health.title")} summary={i18n.t("health.summary")} {actions}>
            <div class="tm-stack">
                <AsyncView<HealthDetailed> state={health.state} on_retry={health.on_refresh} {render} />
                if sees_canary {
                    <CanaryCard />
                }
            </div>
        </Page>
    }
}

fn checked_at(i18n: &I18n, at: i64) -> AttrValue {
    let seconds = REFRESH_S.to_string();
    i18n.fill("health.checked-at", &[("time", &format::time(i18n, at)), ("seconds", &seconds)])
}

fn status_label(i18n: &I18n, status: HealthStatus) -> Html {
    let (label, color, icon) = match status {
        HealthStatus::Ok => (i18n.t("health.status-ok"), Color::Green, Icon::CheckCircle),
        HealthStatus::Degraded => {
            (i18n.t("health.status-degraded"), Color::Orange, Icon::ExclamationTriangle)
        }
        HealthStatus::Down => (i18n.t("health.status-down"), Color::Red, Icon::ExclamationCircle),
    };
    html! { <Label label={label.to_string()} {color} {icon} /> }
}

/// Returns a dependency in the reader's language; an unknown one keeps its name.
pub fn name_of(i18n: &I18n, name: &str) -> AttrValue {
    match name {
        "database" => i18n.t("health.database"),
        "kv" => i18n.t("health.kv"),
        "feed" => i18n.t("health.feed"),
        "queue" => i18n.t("health.queue"),
        "usage" => i18n.t("health.usage"),
        "publication" => i18n.t("health.publication"),
        "sessions" => i18n.t("health.sessions"),
        "credentials" => i18n.t("health.credentials"),
        "drift" => i18n.t("health.drift"),
        "audit" => i18n.t("health.audit"),
        "canary" => i18n.t("canary.title"),
        "derived-tokens" => i18n.t("health.derived-tokens"),
        other => AttrValue::from(other.to_owned()),
    }
}

fn card(i18n: &I18n, health: &HealthDetailed, api: &AttrValue) -> Html {
    let columns =
        [i18n.t("health.dependency"), i18n.t("health.status"), i18n.t("health.note")].map(Column::new);
    let rows = health.checks.iter().map(|check| {
        let remark = check.problem().map(|note| i18n.problem(&note));
        let cells = vec![
            html! { name_of(i18n, &check.name) },
            status_label(i18n, check.status),
            html! { <span class="tm-address">{ remark }</span> },
        ];
        (check.name.clone(), cells)
    });
    html! {
        <div class="tm-stack">
            <Card>
                <CardTitle component="h2">{ i18n.t("health.api") }</CardTitle>
                <CardBody>
                    <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                        <DescriptionGroup term={i18n.t("health.status")}>
                            { status_label(i18n, health.status) }
                        </DescriptionGroup>
                        <DescriptionGroup term={i18n.t("health.service")}>{ &health.service }</DescriptionGroup>
                        <DescriptionGroup term={i18n.t("health.version")}>{ &health.version }</DescriptionGroup>
                        <DescriptionGroup term={i18n.t("health.address")}>
                            <span class="tm-address">{ api }</span>
                        </DescriptionGroup>
                    </DescriptionList>
                </CardBody>
            </Card>
            <Card>
                <CardTitle component="h2">{ i18n.t("health.dependencies") }</CardTitle>
                <CardBody>
                    <DataTable label={i18n.t("health.dependencies")} columns={columns.to_vec()} rows={rows.collect::<Vec<_>>()} />
                </CardBody>
            </Card>
        </div>
    }
}
