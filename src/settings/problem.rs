//! What is wrong with the settings: all of it at once, each with its place.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// The settings file.
    File {
        /// Its path as it was given or found.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, when there is a place.
    pub origin: Option<Origin>,
    /// What, and what to do; never a secret.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub fn at(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            origin: Some(origin),
            message: message.into(),
        }
    }

    /// A problem without a place: something is missing.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            origin: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                write!(f, "{} problems in the settings", many.len())?;
                many.iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_a_line_and_many_are_a_list() {
        let at = |line| Origin::File {
            path: "longhaul.toml".into(),
            line,
        };
        let one = Problems::from(Problem::at(at(3), "unknown key"));
        assert_eq!(one.to_string(), "longhaul.toml:3: unknown key");
        let two = Problems(vec![
            Problem::at(at(3), "unknown key"),
            Problem::new("`iconik.app_id` is not set"),
        ]);
        assert_eq!(
            two.to_string(),
            "2 problems in the settings\n  longhaul.toml:3: unknown key\n  `iconik.app_id` is not set"
        );
    }
}
