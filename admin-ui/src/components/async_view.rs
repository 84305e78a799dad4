//! Data from elsewhere in each of its states.

use crate::components::{CallErrorView, Empty};
use crate::hooks::AsyncState;
use crate::i18n::use_i18n;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct AsyncViewProps<T: PartialEq + 'static> {
    pub state: AsyncState<T>,
    pub on_retry: Callback<()>,
    pub render: Callback<Rc<T>, Html>,
    /// Says whether the data is empty. Without it, no data counts as empty.
    #[prop_or_default]
    pub is_empty: Option<Callback<Rc<T>, bool>>,
    /// Shown in place of empty data.
    #[prop_or_default]
    pub empty: Option<Html>,
}

/// Shows data as loading, empty, failed or ready. No other component shows these states.
#[component]
pub fn AsyncView<T: PartialEq + 'static>(props: &AsyncViewProps<T>) -> Html {
    let i18n = use_i18n();
    match &props.state {
        AsyncState::Loading => html! {
            <Bullseye>
                <div class="tm-loading" role="status">
                    <Spinner aria_label={i18n.t("async.loading").to_string()} />
                </div>
            </Bullseye>
        },
        AsyncState::Failed(error) => html! {
            <CallErrorView error={Rc::clone(error)} on_retry={props.on_retry.clone()} />
        },
        AsyncState::Ready(value)
            if props.is_empty.as_ref().is_some_and(|test| test.emit(Rc::clone(value))) =>
        {
            props.empty.clone().unwrap_or_else(|| {
                html! { <Empty title={i18n.t("async.empty")} /> }
            })
        }
        AsyncState::Ready(value) => props.render.emit(Rc::clone(value)),
    }
}
