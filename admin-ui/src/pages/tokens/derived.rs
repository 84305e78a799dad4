//! How the holder of a token derives others from it: a command, and a node for n8n.

use crate::components::{Button, CopyButton, use_copy};
use crate::config::use_config;
use crate::i18n::use_i18n;
use crate::snippets;
use contract::tokens::TokenView;
use patternfly_yew::prelude::{ButtonVariant, Card, CardBody, CardTitle};
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DerivedProps {
    pub token: Rc<TokenView>,
}

/// The section *Derived tokens* of a token that may have some.
#[component]
pub fn Derived(props: &DerivedProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let on_copy = use_copy();
    if !props.token.may_derive {
        return html! {};
    }
    let scope = props.token.scopes.first().map(String::as_str).unwrap_or_default();
    let command = AttrValue::from(snippets::exchange_curl(&config.gateway, scope));
    let on_node = {
        let (gateway, scope) = (config.gateway.clone(), scope.to_owned());
        on_copy.reform(move |_: MouseEvent| {
            let id = gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default();
            snippets::exchange_node(&id, &gateway, &scope).into()
        })
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("derived.title") }</CardTitle>
            <CardBody>
                <div class="tm-form">
                    <p>{ i18n.t("derived.about") }</p>
                    <div class="tm-secret">
                        <code>{ &command }</code>
                        <CopyButton text={command.clone()} label={i18n.t("routes.copy-curl")} caption={i18n.t("copy.copy")} />
                    </div>
                    <div>
                        <Button
                            variant={ButtonVariant::Secondary}
                            icon={html! { <i class="fas fa-project-diagram" aria-hidden="true" /> }}
                            label={i18n.t("routes.copy-n8n").to_string()}
                            onclick={on_node}
                        />
                    </div>
                </div>
            </CardBody>
        </Card>
    }
}
