//! Where a secret is, and reading it when it is needed.
//!
//! Settings hold a [`SecretRef`], not the secret: a file only its owner can read, an environment
//! variable, a command that prints it, a credential of the service manager, or a literal. No error and no `Debug` shows a secret.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

use super::Origin;
use crate::telemetry;

/// Longest time a command may take: a person may have to touch a key or unlock a store.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// No token, password or key comes near this; more is not a secret but a mistake.
const SIZE_LIMIT: u64 = 64 * 1024;

/// Variables that settings name as holding a secret.
static VARIABLES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a variable that holds a secret, so that no child gets it.
pub(super) fn keep_from_children(variable: &str) {
    let mut variables = VARIABLES.lock().unwrap_or_else(PoisonError::into_inner);
    variables.insert(variable.to_owned());
}

/// Whether a command that prints one secret has no business with this variable: it holds another,
/// or it may, because any setting can be given in the environment.
fn is_ours(variable: &OsStr) -> bool {
    let variables = VARIABLES.lock().unwrap_or_else(PoisonError::into_inner);
    variable
        .to_str()
        .is_some_and(|name| name.starts_with("LONGHAUL_") || variables.contains(name))
}

/// Where a secret is. `Debug` shows neither a literal nor a command's arguments.
#[derive(Clone)]
pub enum Place {
    /// Given as it is: in a settings file of mode 0600, or in the environment.
    Literal(SecretString),
    /// A file that only its owner can read.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A program and its arguments, run without a shell; it prints the secret.
    Command(Vec<String>),
    /// A credential that systemd hands to the service, by name.
    Credential(String),
}

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

impl Place {
    /// The place in words.
    fn describe(&self) -> String {
        match self {
            Self::Literal(_) => "as it is".to_owned(),
            Self::File(path) => format!("from file {}", path.display()),
            Self::Environment(variable) => format!("from environment {variable}"),
            Self::Command(argv) => {
                let program = argv.first().map_or("", String::as_str);
                format!("from command {program} …")
            }
            Self::Credential(name) => format!("from systemd credential {name}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.describe())
    }
}

/// A secret that has not been read yet.
#[derive(Clone, Debug)]
pub struct SecretRef {
    /// The setting.
    pub key: &'static str,
    /// Where the secret is.
    pub place: Place,
    /// Who said so.
    pub origin: Origin,
}

/// Why a secret could not be read. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret for `{key}` from {path}")]
    File {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could read or change the file.
    #[error(
        "the secret for `{key}` in {path} is not private ({why}); give it to the user longhaul \
         runs as, with mode 0400 or 0600"
    )]
    NotPrivate {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Its mode or owner.
        why: String,
    },
    /// The variable is not set.
    #[error(
        "the secret for `{key}` should be in the environment variable {variable}, which is not set"
    )]
    NotSet {
        /// The setting.
        key: &'static str,
        /// The variable.
        variable: String,
    },
    /// No service manager has handed credentials to this process.
    #[error(
        "the secret for `{key}` should be the systemd credential {name}, but {CREDENTIALS} is not \
         set: it is set only for a service; give the unit LoadCredential={name}:/path/of/the/secret, \
         or use {{ file = … }} outside of it"
    )]
    NoCredentials {
        /// The setting.
        key: &'static str,
        /// The credential.
        name: String,
    },
    /// The unit hands over other credentials, but not this one.
    #[error(
        "the secret for `{key}` should be the systemd credential {name}, which this service was not \
         given ({path}: {source}); give the unit LoadCredential={name}:/path/of/the/secret"
    )]
    NoCredential {
        /// The setting.
        key: &'static str,
        /// The credential.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The command could not be run, took too long or failed.
    #[error("the command `{program} …` that prints the secret for `{key}` {why}")]
    Command {
        /// The setting.
        key: &'static str,
        /// The program, without its arguments.
        program: String,
        /// What happened.
        why: String,
    },
    /// There was nothing, or far too much, or not text.
    #[error("the secret for `{key}` {place} is {why}")]
    Unusable {
        /// The setting.
        key: &'static str,
        /// Where it was read.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl SecretRef {
    /// Says where the secret is, for people; shows nothing of it.
    pub fn describe(&self) -> String {
        format!("(set, {})", self.place.describe())
    }

    /// Reads the secret. One trailing line end is not part of it.
    ///
    /// # Errors
    ///
    /// See [`SecretError`]; trying again helps only for a command.
    pub async fn read(&self) -> Result<SecretString, SecretError> {
        let text = match &self.place {
            Place::Literal(secret) => secret.expose_secret().to_owned(),
            Place::File(path) => read_file(self.key, path)?,
            Place::Environment(variable) => match std::env::var(variable) {
                Ok(text) if !text.is_empty() => text,
                Ok(_) | Err(std::env::VarError::NotPresent) => {
                    return Err(SecretError::NotSet {
                        key: self.key,
                        variable: variable.clone(),
                    });
                }
                Err(std::env::VarError::NotUnicode(_)) => return Err(self.unusable("not text")),
            },
            Place::Command(argv) => self.text(run(self.key, argv).await?)?,
            Place::Credential(name) => {
                let folder = std::env::var_os(CREDENTIALS).map(PathBuf::from);
                read_credential(self.key, name, folder.as_deref())?
            }
        };
        self.checked(text)
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, SecretError> {
        String::from_utf8(bytes).map_err(|_| self.unusable("not text"))
    }

    fn checked(&self, mut text: String) -> Result<SecretString, SecretError> {
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(self.unusable("empty"));
        }
        // A line end or control character inside would end up in a header.
        if text.chars().any(char::is_control) {
            return Err(self.unusable("more than one line, or holds control characters"));
        }
        // Whatever else goes wrong, no log line shows it.
        telemetry::register_secret(&text);
        Ok(text.into())
    }

    fn unusable(&self, why: &'static str) -> SecretError {
        SecretError::Unusable {
            key: self.key,
            place: match &self.place {
                Place::Literal(_) => format!("as given in {}", self.origin),
                place => place.describe(),
            },
            why,
        }
    }
}

/// Why others could read or change a file with these rights, `None` when they could not.
pub(super) fn not_private(metadata: &std::fs::Metadata) -> Option<String> {
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Some(format!("its mode is {mode:04o}"));
    }
    let (owner, me) = (metadata.uid(), rustix::process::geteuid().as_raw());
    (owner != me && owner != 0).then(|| format!("its owner is user {owner}, longhaul runs as {me}"))
}

fn read_file(key: &'static str, path: &Path) -> Result<String, SecretError> {
    let fail = |source| SecretError::File {
        key,
        path: path.to_owned(),
        source,
    };
    let unusable = |why| SecretError::Unusable {
        key,
        place: format!("from file {}", path.display()),
        why,
    };
    // Opened once, so that what was checked is what is read.
    let file = std::fs::File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(unusable("not in a regular file"));
    }
    if let Some(why) = not_private(&metadata) {
        return Err(SecretError::NotPrivate {
            key,
            path: path.to_owned(),
            why,
        });
    }
    if metadata.len() > SIZE_LIMIT {
        return Err(unusable("far too large"));
    }
    io::read_to_string(io::Read::take(file, SIZE_LIMIT)).map_err(|source| {
        if source.kind() == io::ErrorKind::InvalidData {
            unusable("not text")
        } else {
            fail(source)
        }
    })
}

/// The folder is its service's alone; systemd has seen to the rights of what is in it (a mode like
/// 0440 with an access list), so they are not looked at here.
fn read_credential(
    key: &'static str,
    name: &str,
    folder: Option<&Path>,
) -> Result<String, SecretError> {
    let Some(folder) = folder.filter(|folder| folder.is_absolute()) else {
        return Err(SecretError::NoCredentials {
            key,
            name: name.to_owned(),
        });
    };
    let path = folder.join(name);
    let fail = |source| SecretError::NoCredential {
        key,
        name: name.to_owned(),
        path: path.clone(),
        source,
    };
    let unusable = |why| SecretError::Unusable {
        key,
        place: format!("from systemd credential {name}"),
        why,
    };
    let file = std::fs::File::open(&path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(unusable("not in a regular file"));
    }
    if metadata.len() > SIZE_LIMIT {
        return Err(unusable("far too large"));
    }
    io::read_to_string(io::Read::take(file, SIZE_LIMIT)).map_err(|source| {
        if source.kind() == io::ErrorKind::InvalidData {
            unusable("not text")
        } else {
            fail(source)
        }
    })
}

/// Whether this can be a credential's name: a file's name, and nothing that leads elsewhere.
pub(super) fn is_credential(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c.is_control())
}

async fn run(key: &'static str, argv: &[String]) -> Result<Vec<u8>, SecretError> {
    let program = argv.first().cloned().unwrap_or_default();
    let fail = |why: String| SecretError::Command {
        key,
        program: program.clone(),
        why,
    };
    let mut command = tokio::process::Command::new(&program);
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_ours(variable)) {
        command.env_remove(variable);
    }
    let mut child = command
        .args(argv.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It may repeat the secret; running the command by hand shows it to its owner only.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fail(format!("could not be started: {error}")))?;
    let stdout = child.stdout.take();
    let talk = async {
        let mut printed = Vec::new();
        if let Some(stdout) = stdout {
            stdout
                .take(SIZE_LIMIT)
                .read_to_end(&mut printed)
                .await
                .map_err(|error| fail(format!("could not be read: {error}")))?;
        }
        let status = child
            .wait()
            .await
            .map_err(|error| fail(format!("could not be waited for: {error}")))?;
        if status.success() {
            Ok(printed)
        } else {
            Err(fail(format!(
                "ended with {status}; run it by hand to see why"
            )))
        }
    };
    tokio::time::timeout(COMMAND_LIMIT, talk)
        .await
        .map_err(|_| fail(format!("took longer than {} s", COMMAND_LIMIT.as_secs())))?
}

/// Splits a command line into words as a shell would, without one: quotes and backslashes only.
/// `None` for what only a shell understands, or an open quote.
pub(super) fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        '$' | '`' => return None,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '|' | '&' | ';' | '<' | '>' | '$' | '`' | '(' | ')' | '*' | '?' | '\n' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const CANARY: &str = "swordfish-c4n4ry";

    fn secret(place: Place) -> SecretRef {
        SecretRef {
            key: "iconik.token",
            place,
            origin: Origin::Default,
        }
    }

    fn file(mode: u32, content: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn command(words: &[&str]) -> SecretRef {
        secret(Place::Command(
            words.iter().map(|word| (*word).to_owned()).collect(),
        ))
    }

    #[tokio::test]
    async fn a_private_file_is_read_without_its_line_end() {
        for mode in [0o600, 0o400] {
            let (_dir, path) = file(mode, &format!("{CANARY}\r\n"));
            let read = secret(Place::File(path)).read().await.unwrap();
            assert_eq!(read.expose_secret(), CANARY);
        }
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused_with_its_mode() {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let (_dir, path) = file(mode, CANARY);
            let error = secret(Place::File(path)).read().await.unwrap_err();
            assert!(matches!(error, SecretError::NotPrivate { .. }), "{error}");
            assert!(
                error.to_string().contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_credential_is_read_from_the_services_folder() {
        let (dir, _) = file(0o440, &format!("{CANARY}\n"));
        let key = "iconik.token";
        let read = read_credential(key, "secret", Some(dir.path())).unwrap();
        assert_eq!(read, format!("{CANARY}\n"), "whatever its mode");
        let error = read_credential(key, "other", Some(dir.path())).unwrap_err();
        assert!(
            error.to_string().contains("LoadCredential=other:"),
            "{error}"
        );
        for none in [None, Some(Path::new("")), Some(Path::new("relative"))] {
            let error = read_credential(key, "secret", none).unwrap_err();
            assert!(
                error.to_string().contains("CREDENTIALS_DIRECTORY"),
                "{error}"
            );
        }
        assert!(is_credential("iconik-token") && is_credential("a..b"));
        for name in ["", ".", "..", "../secret", "a/b", "/etc/shadow", "a\nb"] {
            assert!(!is_credential(name), "{name:?}");
        }
    }

    #[tokio::test]
    async fn no_error_shows_any_of_the_secret() {
        let (_dir, two_lines) = file(0o600, &format!("{CANARY}\n{CANARY}\n"));
        let (_dir2, empty) = file(0o600, "\n");
        for secret in [
            secret(Place::File(two_lines)),
            secret(Place::File(empty)),
            secret(Place::File("/nonexistent/secret".into())),
            secret(Place::Environment("LONGHAUL_TEST_NOT_SET".into())),
            command(&[
                "/bin/sh",
                "-c",
                &format!("echo {CANARY}; echo {CANARY} >&2; exit 3"),
            ]),
            command(&["/nonexistent/program", CANARY]),
            secret(Place::Literal(format!("{CANARY}\n{CANARY}").into())),
        ] {
            let error = secret.read().await.unwrap_err();
            let all = format!("{error} {error:?} {} {secret:?}", secret.describe());
            assert!(!all.contains(CANARY), "{all}");
            assert!(error.to_string().contains("iconik.token"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_runs_without_a_shell() {
        let read = command(&["printf", "%s\n", "$HOME;x"])
            .read()
            .await
            .unwrap();
        assert_eq!(read.expose_secret(), "$HOME;x");
        let error = command(&["/bin/sh", "-c", "exit 3"])
            .read()
            .await
            .unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn command_lines_are_split_by_quotes_only() {
        let words = |line| split_words(line);
        assert_eq!(
            words(r#"vault kv "get it" 'a $b' c\ d"#).unwrap(),
            ["vault", "kv", "get it", "a $b", "c d"]
        );
        for line in [
            "",
            "   ",
            "a | b",
            "echo $X",
            "echo \"$X\"",
            "echo 'open",
            "a; b",
        ] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
