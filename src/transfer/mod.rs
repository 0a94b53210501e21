//! The engine: moves files from a source to a destination, resumably. It names no vendor.

mod ends;

pub use ends::{
    Answer, ByteStream, Committed, Content, Destination, NewContent, Node, Opened, PartReceipt,
    Restore, Session, Source, SourceFile, Validator, Version, Window,
};
