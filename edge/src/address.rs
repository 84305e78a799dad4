//! Addresses as people write them.

use domain::upstream::address::AddressRules;

/// Returns the rules for an address that a person has written: its host may be in Unicode.
pub fn rules(allow_insecure: bool) -> AddressRules {
    AddressRules { allow_insecure, to_ascii }
}

fn to_ascii(text: &str) -> String {
    web_sys::Url::new(text).map_or_else(|_| text.to_owned(), |url| url.href())
}
