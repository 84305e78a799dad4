//! Values that wait until they stop changing.

use gloo::timers::callback::Timeout;
use yew::prelude::*;

/// Returns `value` once it has not changed for `ms`.
#[hook]
pub fn use_debounced<T: Clone + PartialEq + 'static>(value: T, ms: u32) -> T {
    let settled = use_state_eq(|| value.clone());
    {
        let settled = settled.setter();
        use_effect_with(value, move |value| {
            let value = value.clone();
            let timer = Timeout::new(ms, move || settled.set(value));
            move || drop(timer)
        });
    }
    (*settled).clone()
}
