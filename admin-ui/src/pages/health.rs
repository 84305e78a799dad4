use crate::api;
use crate::components::{AsyncView, PageHeader};
use crate::config::use_config;
use crate::hooks::{use_interval_while_visible, use_remote, use_title};
use crate::i18n::{I18n, use_i18n};
use domain::api::{GetHealth, Health};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

const REFRESH_S: u32 = 30;

/// `/system-health`
#[component]
pub fn HealthPage() -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let title = i18n.t("health.title");
    use_title(title.clone(), i18n.t("app.name"));

    let api = config.map(|config| config.api.clone()).unwrap_or_default();
    let health = use_remote(api.clone(), |api| async move { api::call::<GetHealth>(&api, &[]).await });
    use_interval_while_visible(REFRESH_S * 1000, health.on_refresh.clone());

    let render = {
        let i18n = i18n.clone();
        Callback::from(move |health: Rc<Health>| card(&i18n, &health, &api))
    };
    html! {
        <>
            <PageSection>
                <PageHeader {title} summary={i18n.t("health.summary")}>
                    if let Some(finished_at) = health.finished_at {
                        <span class="tm-subtle">{ checked_at(&i18n, finished_at) }</span>
                    }
                    <Button
                        variant={ButtonVariant::Secondary}
                        icon={Icon::SyncAlt}
                        label={i18n.t("health.refresh").to_string()}
                        disabled={health.is_loading}
                        onclick={health.on_refresh.reform(|_| ())}
                    />
                </PageHeader>
            </PageSection>
            <PageSection>
                <AsyncView<Health> state={health.state} on_retry={health.on_refresh} {render} />
            </PageSection>
        </>
    }
}

fn checked_at(i18n: &I18n, at_ms: f64) -> AttrValue {
    let time = js_sys::Date::new(&at_ms.into()).to_locale_time_string(i18n.language.tag());
    let seconds = REFRESH_S.to_string();
    i18n.fill("health.checked-at", &[("time", &String::from(time)), ("seconds", &seconds)])
}

fn card(i18n: &I18n, health: &Health, api: &str) -> Html {
    // `ok` is the only word there is so far; another one is shown as it came.
    let (status, color, icon) = match health.status.as_str() {
        "ok" => (i18n.t("health.status-ok").to_string(), Color::Green, Icon::CheckCircle),
        other => (other.to_owned(), Color::Orange, Icon::ExclamationTriangle),
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("health.api") }</CardTitle>
            <CardBody>
                <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                    <DescriptionGroup term={i18n.t("health.status")}>
                        <Label label={status} {color} {icon} />
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("health.service")}>{ &health.service }</DescriptionGroup>
                    <DescriptionGroup term={i18n.t("health.version")}>{ &health.version }</DescriptionGroup>
                    <DescriptionGroup term={i18n.t("health.address")}>
                        <span class="tm-address">{ api }</span>
                    </DescriptionGroup>
                </DescriptionList>
            </CardBody>
        </Card>
    }
}
