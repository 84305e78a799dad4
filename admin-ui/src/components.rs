//! Parts that pages are made of.

mod async_view;
mod button;
mod call_error_view;
mod card_head;
mod chart;
mod choice;
mod copy;
mod dialog;
mod dry_run;
mod empty;
mod field;
mod filter_chips;
mod form;
mod labels;
mod leaked;
mod limits;
mod menu;
mod not_allowed;
mod notice;
mod page;
mod range;
mod recent_use;
mod saved_views;
mod scope_picker;
mod session;
mod shell;
mod snippet_tabs;
mod sparkline;
mod table;
mod tile;
mod time;
mod toasts;
mod token_picker;
mod workflows;

pub use async_view::AsyncView;
pub use button::Button;
pub use call_error_view::CallErrorView;
pub use card_head::CardHead;
pub use chart::{Chart, Look, Plot, Series, Unit};
pub use choice::{Choice, ChoiceOption};
pub use copy::{CopyButton, use_copy};
pub use dialog::{Dialog, use_modal};
pub use dry_run::{Trial, TrialView};
pub use empty::Empty;
pub use field::{
    CheckField, SearchField, Select, SelectField, TextAreaField, TextField, error_of, error_within,
};
pub use filter_chips::{Chip, FilterChips, Filtered, NamedChip};
pub use form::{
    DraftField, Form, FormDialog, Submission, changed, edit, filled, switch, use_conflict, use_form,
    use_saved,
};
pub use labels::{Avatar, RoleLabel, ScopeLabel, Standing, StandingLabel, StatusLabel, role_name};
pub use leaked::{Act, Leaked, looks_secret, may_stop, secret_in, use_leaked};
pub use limits::{
    LimitUses, LimitsDraft, LimitsFields, in_millions, label as limit_label, limits_list, millionths,
    name as limit_name, shown,
};
pub use menu::{Menu, MenuItem};
pub use not_allowed::NotAllowed;
pub use notice::Notice;
pub use page::Page;
pub use range::{Range, RangePicker};
pub use recent_use::RecentUse;
pub use saved_views::SavedViews;
pub use scope_picker::{ScopePicker, is_stale, name_of, opened};
pub use session::SessionProvider;
pub use shell::{Shell, gravity, notice_route, notice_text, settings};
pub use snippet_tabs::SnippetTabs;
pub use sparkline::{Bar, Share, Sparkline, course_cell};
pub use table::{Column, DataTable, Pager, Row};
pub use tile::{Delta, Tile};
pub use time::Time;
pub use toasts::ToastProvider;
pub use token_picker::TokenPicker;
pub use workflows::{RecentWorkflows, Workflows};
