//! The client against scripted sockets: what it asks, and what it makes of the answers.

mod collaboration;
mod double;
mod listing;
mod planning;
mod reading;
mod writing;
