//! Rights: what somebody may do with a master, where, until when.
//!
//! The source keeps a licence as a few fields. [`terms`] reads them into [`Terms`] and names every
//! value that it does not understand; [`odrl`] writes the terms as an ODRL 2.2 policy in JSON-LD,
//! the rights sidecar; [`evaluate`] asks a policy whether a use is allowed. Where nothing permits a
//! use it is not allowed, and what cannot be told is never a yes.
//!
//! | Part | Holds |
//! |---|---|
//! | [`terms`] | a licence in the source's fields |
//! | [`licences`] | several of them for one asset |
//! | [`odrl`] | the policy, written and read |
//! | [`evaluate`] | a use against a policy |
//! | [`regions`] | countries and regions of the world |

pub mod evaluate;
pub mod licences;
pub mod odrl;
pub mod regions;
pub mod terms;

pub use evaluate::{Answer, Use, Verdict};
pub use licences::{LicenceFields, Licensed};
pub use odrl::Policy;
pub use terms::{RightsFields, Status, Terms};

/// What the rights sidecar of `master` is called.
pub fn rights_name(master: &str) -> String {
    format!("{master}.rights.jsonld")
}
