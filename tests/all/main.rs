//! Everything that is tested from outside, in one binary: it links once.

mod approval;
mod architecture;
mod bad_input;
mod bench;
// The places to die at are in builds for tests only.
#[cfg(debug_assertions)]
mod crashes;
mod damage;
mod decisions;
mod doctor;
mod errors;
mod exchange;
mod faults;
mod filing;
mod kills;
mod lifecycle;
mod long;
mod machine;
mod metadata;
mod migration;
mod package;
mod plan;
mod probing;
mod publishing;
mod reconcile;
mod references;
mod report;
mod retention;
mod retire;
mod rights;
mod rights_links;
mod season;
mod secrets;
mod settings_command;
mod steering;
mod support;
mod telling;
mod together;
mod ways;
mod wire;
