//! The vendors to choose from.

use crate::i18n::use_i18n;
use crate::vendors::{VENDORS, Vendor};
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct VendorTilesProps {
    pub on_choose: Callback<&'static Vendor>,
    /// Further tiles.
    #[prop_or_default]
    pub children: Html,
}

/// One tile a vendor.
#[component]
pub fn VendorTiles(props: &VendorTilesProps) -> Html {
    let i18n = use_i18n();
    let tile = |vendor: &'static Vendor| {
        html! {
            <button type="button" class="tm-choice" onclick={props.on_choose.reform(move |_: MouseEvent| vendor)}>
                { vendor.name }
            </button>
        }
    };
    html! {
        <div class="tm-choices" role="group" aria-label={i18n.t("vendors.title")}>
            { for VENDORS.iter().map(tile) }
            { props.children.clone() }
        </div>
    }
}
