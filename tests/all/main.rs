//! Everything that is tested from outside, in one binary: it links once.

mod architecture;
mod crashes;
mod decisions;
mod filing;
mod kills;
mod long;
mod settings_command;
mod support;
mod ways;
