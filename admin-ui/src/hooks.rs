//! Reusable behaviour of components: data from elsewhere, actions, and the browser.

mod setter;
mod use_action;
mod use_catalogue;
mod use_courses;
mod use_creating;
mod use_debounced;
mod use_id;
mod use_interval_while_visible;
mod use_name;
mod use_paged;
mod use_query;
mod use_remote;
mod use_title;

pub use setter::setter;
pub use use_action::{Action, use_action};
pub use use_catalogue::{rule_of, team_name, use_routes, use_teams};
pub use use_courses::{Courses, use_courses};
pub use use_creating::use_creating;
pub use use_debounced::use_debounced;
pub use use_id::use_id;
pub use use_interval_while_visible::use_interval_while_visible;
pub use use_name::{Named, use_name};
pub use use_paged::use_paged;
pub use use_query::{use_part_of_query, use_query};
pub use use_remote::{AsyncState, Remote, use_last_ready, use_remote};
pub use use_title::use_title;
