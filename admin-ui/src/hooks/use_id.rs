//! Ids for labels and their inputs.

use std::cell::Cell;
use yew::prelude::*;

thread_local!(static LAST: Cell<u32> = const { Cell::new(0) });

/// Returns an id that no other element has.
#[hook]
pub fn use_id() -> AttrValue {
    (*use_memo((), |()| {
        let id = LAST.get() + 1;
        LAST.set(id);
        AttrValue::from(format!("tm-{id}"))
    }))
    .clone()
}
