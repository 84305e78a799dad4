//! A preview of the URL that a call goes to.

use crate::components::TextField;
use crate::config::use_config;
use crate::hooks::{setter, use_id};
use crate::i18n::use_i18n;
use domain::access::path::{RequestPath, RoutePath};
use domain::problem::Problem;
use domain::upstream::address::{AddressRules, UpstreamUrl};
use domain::upstream::{Mount, build_url};
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PreviewProps {
    pub path: String,
    pub backend_url: String,
}

/// Shows the URL that a call would go to, built by the same function as in the gateway.
#[component]
pub fn Preview(props: &PreviewProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let sample = use_state_eq(|| "/models?limit=5".to_owned());
    let id = use_id();
    let on_change = setter(&sample);
    // Nothing can be wrong with what nobody has typed yet.
    let is_typed =
        !props.backend_url.trim().is_empty() && !matches!(props.path.trim(), "" | "/" | "/api" | "/api/");
    let url = upstream_url(props.path.trim(), &props.backend_url, &sample, config.addresses());
    html! {
        <div class="tm-fieldset" role="group" aria-labelledby={id.clone()}>
            <p class="tm-heading" {id}>{ i18n.t("preview.title") }</p>
            <TextField label={i18n.t("preview.sample")} value={(*sample).clone()} {on_change} />
            if is_typed {
                <p class="tm-address"><code>{ format!("{}{}{}", config.gateway, props.path.trim(), *sample) }</code></p>
            }
            <p class="tm-address" aria-live="polite">
                { match url {
                    _ if !is_typed => html! { <span class="tm-subtle">{ i18n.t("preview.empty") }</span> },
                    Ok(url) => html! {
                        <>
                            <i class="fas fa-long-arrow-alt-right" aria-hidden="true" />{ " " }
                            <code data-preview="true">{ url }</code>
                        </>
                    },
                    Err(why) => html! { <span class="tm-danger">{ i18n.problem(&why) }</span> },
                } }
            </p>
        </div>
    }
}

/// Returns the upstream's URL for `sample` below a route.
fn upstream_url(
    path: &str,
    backend_url: &str,
    sample: &str,
    rules: impl Into<AddressRules>,
) -> Result<String, Problem> {
    let path = path.parse::<RoutePath>()?;
    let upstream = UpstreamUrl::parse(backend_url, rules)?;
    let (below, query) = sample.split_once('?').map_or((sample, None), |(path, query)| (path, Some(query)));
    // Cannot fail: a route's path begins with a slash.
    let asked = RequestPath::parse(&format!("{}{below}", path.as_str()))
        .unwrap_or_else(|| RequestPath::of(upstream.as_url()));
    Ok(build_url(Mount { path: &path, upstream: &upstream }, &asked, query)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preview_shows_the_url_that_the_gateway_would_call() {
        let url = |sample| upstream_url("/api/openai", "https://api.openai.com/v1", sample, false);
        assert_eq!(url("/models?limit=5").unwrap(), "https://api.openai.com/v1/models?limit=5");
        assert_eq!(url("").unwrap(), "https://api.openai.com/v1");
        assert_eq!(url("/a//b%2F").unwrap(), "https://api.openai.com/v1/a//b%2F");
        assert!(url("/..%2f..").is_err() && url("evil").is_err());
        assert!(upstream_url("/api/x", "http://127.0.0.1", "", false).is_err());
    }
}
