//! Actions on demand, one at a time.

use crate::api::CallError;
use std::future::Future;
use std::rc::Rc;
use yew::platform::spawn_local;
use yew::prelude::*;

/// An action on demand, which may be refused.
#[derive(Clone, Debug)]
pub struct Action<A> {
    pub is_busy: bool,
    /// Why the last try failed.
    pub error: Option<Rc<CallError>>,
    pub on_run: Callback<A>,
}

/// Runs `perform` on demand, one run at a time, and hands its result to `on_done`.
#[hook]
pub fn use_action<A, T, F, Fut>(perform: F, on_done: Callback<T>) -> Action<A>
where
    A: 'static,
    T: 'static,
    F: Fn(A) -> Fut + 'static,
    Fut: Future<Output = Result<T, CallError>> + 'static,
{
    let is_busy = use_state_eq(|| false);
    // A second click may come before the first one is drawn.
    let lock = use_mut_ref(|| false);
    let error = use_state_eq(|| None);
    let on_run = {
        let (is_busy, error) = (is_busy.setter(), error.setter());
        Callback::from(move |argument: A| {
            if lock.replace(true) {
                return;
            }
            is_busy.set(true);
            error.set(None);
            let (answer, lock) = (perform(argument), Rc::clone(&lock));
            let (is_busy, error, on_done) = (is_busy.clone(), error.clone(), on_done.clone());
            spawn_local(async move {
                let answer = answer.await;
                lock.replace(false);
                is_busy.set(false);
                match answer {
                    Ok(value) => on_done.emit(value),
                    Err(why) => error.set(Some(Rc::new(why))),
                }
            });
        })
    };
    Action { is_busy: *is_busy, error: (*error).clone(), on_run }
}
