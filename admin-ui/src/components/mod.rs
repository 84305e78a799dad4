mod async_view;
mod call_error_view;
mod choice;
mod page_header;
mod shell;

pub use async_view::AsyncView;
pub use call_error_view::CallErrorView;
pub use choice::{Choice, ChoiceOption};
pub use page_header::PageHeader;
pub use shell::Shell;
