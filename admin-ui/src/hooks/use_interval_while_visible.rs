//! Repetition while the page is in view.

use gloo::events::EventListener;
use gloo::timers::callback::Interval;
use gloo::utils::document;
use yew::prelude::*;

/// Emits every `period_ms` while the page is in view, and at once when it comes back into view.
#[hook]
pub fn use_interval_while_visible(period_ms: u32, on_tick: Callback<()>) {
    use_effect_with((period_ms, on_tick), |(period_ms, on_tick)| {
        let emit_if_visible = {
            let on_tick = on_tick.clone();
            move || {
                if !document().hidden() {
                    on_tick.emit(());
                }
            }
        };
        let timer = Interval::new(*period_ms, emit_if_visible.clone());
        let listener = EventListener::new(&document(), "visibilitychange", move |_| emit_if_visible());
        move || drop((timer, listener))
    });
}
