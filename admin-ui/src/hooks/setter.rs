//! The setter of a state, as a callback.

use yew::prelude::*;

/// Returns a callback that sets a state.
pub fn setter<T: 'static>(state: &UseStateHandle<T>) -> Callback<T> {
    let state = state.setter();
    Callback::from(move |value| state.set(value))
}
