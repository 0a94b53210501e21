//! Settings: flags over environment over file, resolved into each module's own configuration.
