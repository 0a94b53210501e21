//! Everything that is tested from outside, in one binary: it links once.

mod architecture;
mod bad_input;
mod decisions;
mod doctor;
mod faults;
mod filing;
mod long;
mod settings_command;
mod support;
mod telling;
mod ways;
