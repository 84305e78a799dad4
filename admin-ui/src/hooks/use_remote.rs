//! Data from elsewhere, fetched when the page opens, when its parameters change, and on demand.

use crate::api::CallError;
use domain::time::UnixMs;
use std::future::Future;
use std::rc::Rc;
use yew::platform::spawn_local;
use yew::prelude::*;

/// The state of data from elsewhere.
#[derive(Debug, PartialEq)]
pub enum AsyncState<T> {
    Loading,
    Failed(Rc<CallError>),
    Ready(Rc<T>),
}

// A derived `Clone` would need `T: Clone`, which a shared value does not.
impl<T> Clone for AsyncState<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Loading => Self::Loading,
            Self::Failed(error) => Self::Failed(Rc::clone(error)),
            Self::Ready(value) => Self::Ready(Rc::clone(value)),
        }
    }
}

impl<T> AsyncState<T> {
    pub fn ready(&self) -> Option<&Rc<T>> {
        match self {
            Self::Ready(value) => Some(value),
            Self::Loading | Self::Failed(_) => None,
        }
    }

    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// The data of a page, and its state.
#[derive(Clone, Debug)]
pub struct Remote<T> {
    pub state: AsyncState<T>,
    /// Whether a call is under way; `state` keeps the earlier data meanwhile.
    pub is_loading: bool,
    /// When the last call ended.
    pub finished_at: Option<UnixMs>,
    pub on_refresh: Callback<()>,
}

struct Progress<T> {
    state: AsyncState<T>,
    finished_at: Option<UnixMs>,
    /// The number of the call under way. The response to an earlier call is not shown.
    awaited: Option<u32>,
}

enum Step<T> {
    Start(u32),
    Finish { call: u32, result: Result<T, CallError>, now: UnixMs },
}

impl<T> Default for Progress<T> {
    fn default() -> Self {
        Self { state: AsyncState::Loading, finished_at: None, awaited: None }
    }
}

impl<T> Reducible for Progress<T> {
    type Action = Step<T>;

    fn reduce(self: Rc<Self>, step: Step<T>) -> Rc<Self> {
        match step {
            Step::Start(call) => Rc::new(Self {
                state: self.state.clone(),
                finished_at: self.finished_at,
                awaited: Some(call),
            }),
            Step::Finish { call, result, now } if self.awaited == Some(call) => Rc::new(Self {
                state: match result {
                    Ok(value) => AsyncState::Ready(Rc::new(value)),
                    Err(error) => AsyncState::Failed(Rc::new(error)),
                },
                finished_at: Some(now),
                awaited: None,
            }),
            Step::Finish { .. } => self,
        }
    }
}

/// Fetches with `parameters`, and again when they change.
#[hook]
pub fn use_remote<P, T, F, Fut>(parameters: P, fetch: F) -> Remote<T>
where
    P: Clone + PartialEq + 'static,
    T: 'static,
    F: Fn(P) -> Fut + 'static,
    Fut: Future<Output = Result<T, CallError>> + 'static,
{
    let progress = use_reducer(Progress::default);
    let calls = use_mut_ref(|| 0_u32);

    let on_refresh = {
        let dispatcher = progress.dispatcher();
        use_callback(parameters, move |(): (), parameters| {
            let call = calls.replace_with(|calls| calls.wrapping_add(1));
            dispatcher.dispatch(Step::Start(call));
            let answer = fetch(parameters.clone());
            let dispatcher = dispatcher.clone();
            spawn_local(async move {
                let result = answer.await;
                dispatcher.dispatch(Step::Finish { call, result, now: crate::clock::now() });
            });
        })
    };
    use_effect_with(on_refresh.clone(), |on_refresh| on_refresh.emit(()));

    Remote {
        state: progress.state.clone(),
        is_loading: progress.awaited.is_some(),
        finished_at: progress.finished_at,
        on_refresh,
    }
}

/// Returns the data that was last ready, for a dialog that must not vanish with what is typed into it if a later read
/// fails.
#[hook]
pub fn use_last_ready<T: 'static>(state: &AsyncState<T>) -> Option<Rc<T>> {
    let last = use_mut_ref(|| None::<Rc<T>>);
    if let Some(value) = state.ready() {
        last.replace(Some(Rc::clone(value)));
    }
    let shown = last.borrow();
    shown.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    fn finish(call: u32, result: Result<&'static str, CallError>) -> Step<&'static str> {
        Step::Finish { call, result, now: 1 }
    }

    #[test]
    fn a_response_that_was_overtaken_is_not_shown() {
        let progress = Rc::new(Progress::default()).reduce(Step::Start(1)).reduce(Step::Start(2));
        let progress = progress.reduce(finish(2, Ok("new"))).reduce(finish(1, Ok("old")));
        assert_eq!(progress.state, AsyncState::Ready(Rc::new("new")));
    }

    #[test]
    fn data_stays_in_view_while_it_is_fetched_again() {
        let progress = Rc::new(Progress::default()).reduce(Step::Start(1)).reduce(finish(1, Ok("old")));
        let progress = progress.reduce(Step::Start(2));
        assert_eq!(progress.state, AsyncState::Ready(Rc::new("old")));
        assert_eq!(progress.awaited, Some(2));
    }

    #[test]
    fn a_failure_replaces_the_data() {
        let error = CallError { url: "/health".to_owned(), reason: Reason::Unreachable };
        let progress =
            Rc::new(Progress::default()).reduce(Step::Start(1)).reduce(finish(1, Err(error.clone())));
        assert_eq!(progress.state, AsyncState::Failed(Rc::new(error)));
    }
}
