//! The checks of `domain`'s own fuzz test, for targets that are guided by coverage.

#[path = "../../domain/tests/hostile/checks.rs"]
pub mod checks;
