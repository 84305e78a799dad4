//! Dialogs of one token: rotate, extend, disable, revoke.

use super::create::ExpiryField;
use super::reveal::{Reveal, use_made};
use crate::api::use_api;
use crate::clock;
use crate::components::{
    FormDialog, RecentUse, RecentWorkflows, SelectField, Submission, Time, Trial, TrialView, error_of,
    use_form, use_saved,
};
use crate::format;
use crate::hooks::{Action, use_action};
use crate::i18n::{I18n, use_i18n};
use contract::routes::RouteView;
use contract::tokens::{
    ExtendToken, ExtendTokenRequest, RevokeToken, RotateToken, RotateTokenRequest, TokenChanged, TokenView,
};
use contract::usage::UsageStats;
use domain::time::UnixMs;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenDialogProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

const GRACES: [&str; 5] = ["0", "1", "24", "168", "720"];

/// Gives the token a new secret; the current ones keep working for a while.
#[component]
pub fn Rotate(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let made = use_made(&props.on_changed, &props.on_close);
    let form = {
        let (id, key) = (props.token.id.clone(), made.key);
        use_form(
            || "24".to_owned(),
            |hours: &String| {
                // Unparsable input becomes an out-of-range value, so validation reports it.
                let request = RotateTokenRequest { grace_hours: Some(hours.parse().unwrap_or(-1)) };
                request.validate().map(|_| request)
            },
            move |request: RotateTokenRequest| {
                let (api, id, key) = (api.clone(), id.clone(), Rc::clone(&key));
                async move {
                    let call = api.request::<RotateToken>().path(&[id.as_str()]);
                    call.body(&request).idempotency_key(&key).send().await
                }
            },
            made.on_done,
        )
    };
    if let Some(created) = made.created {
        return html! { <Reveal {created} routes={Rc::clone(&props.routes)} on_close={props.on_close.clone()} /> };
    }
    let options = GRACES.map(|hours| {
        let text = match hours {
            "0" => i18n.t("rotate.none"),
            "1" => i18n.t("rotate.hour"),
            "24" => i18n.t("rotate.day"),
            "168" => i18n.t("rotate.week"),
            _ => i18n.t("rotate.month"),
        };
        (AttrValue::Static(hours), text)
    });
    html! {
        <FormDialog label={i18n.t("tokens.rotate")} title={i18n.fill("rotate.title", &[("name", &props.token.name)])} submission={form.submission.clone()} on_close={props.on_close.clone()}>
            <p>{ i18n.fill("rotate.advice", &[("name", &props.token.name)]) }</p>
            <SelectField
                label={i18n.t("rotate.grace")}
                options={options.to_vec()}
                value={form.draft().clone()}
                on_change={form.set(|hours, text| *hours = text)}
                help={(form.draft() == "0").then(|| i18n.t("rotate.none-advice"))}
                error={form.error("grace_hours")}
            />
        </FormDialog>
    }
}

/// Moves the token's end.
#[component]
pub fn Extend(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let (id, end) = (props.token.id.clone(), props.token.expires_at);
    let check = move |days: &String| {
        let request = ExtendTokenRequest { days: days.parse().ok() };
        request.validate(end, clock::now()).map(|end| (request, end))
    };
    let form = use_form(
        || "90".to_owned(),
        check,
        move |(request, _): (ExtendTokenRequest, Option<UnixMs>)| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<ExtendToken>().path(&[id.as_str()]).body(&request).send().await }
        },
        on_saved.reform(|changed: TokenChanged| changed.propagation),
    );
    let found = check(form.draft());
    let error =
        found.as_ref().err().and_then(|errors| error_of(errors, "days")).or_else(|| form.error("days"));
    html! {
        <FormDialog label={i18n.t("tokens.extend")} title={i18n.fill("extend.title", &[("name", &props.token.name)])} submission={form.submission.clone()} on_close={props.on_close.clone()} is_disabled={found.is_err()}>
            <ExpiryField days={form.draft().clone()} on_change={form.set(|days, text| *days = text)} {error} />
            if let Ok((_, Some(at))) = found {
                <p>{ i18n.t("extend.new-end") }{ " " }<Time {at} is_end=true /></p>
            }
        </FormDialog>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DisableProps {
    pub token: Rc<TokenView>,
    pub on_close: Callback<()>,
    pub on_disable: Callback<()>,
}

/// Asks before a token is disabled, and shows which calls will be refused.
#[component]
pub fn Disable(props: &DisableProps) -> Html {
    let i18n = use_i18n();
    let (on_close, on_disable) = (props.on_close.clone(), props.on_disable.clone());
    let on_run = Callback::from(move |()| {
        on_close.emit(());
        on_disable.emit(());
    });
    let submission = Submission::from(Action { is_busy: false, error: None, on_run });
    html! {
        <FormDialog label={i18n.t("tokens.disable")} title={i18n.fill("disable.title", &[("name", &props.token.name)])} {submission} on_close={props.on_close.clone()} is_wide=true>
            <p>{ i18n.fill("disable.advice", &[("name", &props.token.name)]) }</p>
            <TrialView trial={Trial::DisableToken(props.token.id.clone())} />
        </FormDialog>
    }
}

/// Revokes a token permanently, after showing which calls will be refused.
#[component]
pub fn Revoke(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let id = props.token.id.clone();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<RevokeToken>().path(&[id.as_str()]).send().await }
        },
        on_saved.reform(|changed: TokenChanged| changed.propagation),
    );
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| used(&i18n, &stats))
    };
    html! {
        <FormDialog label={i18n.t("tokens.revoke")} title={i18n.fill("revoke.title", &[("name", &props.token.name)])} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true is_wide=true>
            <p>{ i18n.fill("revoke.advice", &[("name", &props.token.name)]) }</p>
            <RecentUse token_id={props.token.id.clone()} {render} />
            <RecentWorkflows token_id={props.token.id.clone()} />
            <TrialView trial={Trial::RevokeToken(props.token.id.clone())} />
        </FormDialog>
    }
}

fn used(i18n: &I18n, stats: &UsageStats) -> Html {
    let routes = stats.by_route.iter().map(|route| {
        let path = route.path.clone().unwrap_or_else(|| i18n.t("usage.no-route").to_string());
        html! { <li><code>{ path }</code>{ " · " }{ format::number(i18n, route.figures.calls) }</li> }
    });
    html! { <ul>{ for routes }</ul> }
}
