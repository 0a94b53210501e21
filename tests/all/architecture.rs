//! The invariants that a compiler cannot hold: what is absent from each module.
//!
//! Read from the sources as text. Tests inside the sources may do what their module may not (a
//! test of the HTTP client listens), so they are left out; comments are left out except where
//! the rule is about naming.

use std::path::{Path, PathBuf};

/// One line of a source file.
struct Line {
    /// Path below `src`, with `/`.
    file: String,
    number: usize,
    text: String,
}

impl Line {
    /// The module of the first floor: `transfer` for `transfer/fetch.rs`.
    fn module(&self) -> &str {
        let first = self.file.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn code(&self) -> &str {
        let text = self.text.trim_start();
        if text.starts_with("//") { "" } else { text }
    }
}

/// Every line of the sources that is not a test.
fn lines() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file is readable");
            (path, text)
        })
        .collect();
    // Files that only tests compile: `#[cfg(test)]` above `mod name;`.
    let test_files: Vec<PathBuf> = sources
        .iter()
        .flat_map(|(path, text)| {
            let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
                Some("mod" | "lib" | "main") | None => path.with_file_name(""),
                Some(_) => path.with_extension(""),
            };
            test_modules(text)
                .filter_map(move |name| name.strip_suffix(';').map(|name| folder.join(name)))
        })
        .collect();
    let mut lines = Vec::new();
    for (path, text) in &sources {
        let is_test = test_files
            .iter()
            .any(|test| path.starts_with(test) || path.with_extension("") == *test);
        if is_test {
            continue;
        }
        let file = path
            .strip_prefix(&root)
            .expect("found below the root")
            .to_string_lossy()
            .into_owned();
        lines.extend(without_tests(text).map(|(number, text)| Line {
            file: file.clone(),
            number,
            text: text.to_owned(),
        }));
    }
    assert!(lines.len() > 1000, "the sources were found");
    lines
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("an entry of a source folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What follows `mod ` in each module declared under `#[cfg(test)]`: `tests;` or `tests {`.
fn test_modules(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        loop {
            if lines.next()?.trim() == "#[cfg(test)]" {
                let declaration = lines.next()?.trim();
                if let Some((_, name)) = declaration.split_once("mod ") {
                    return Some(name);
                }
            }
        }
    })
}

/// The lines, numbered from 1, without `#[cfg(test)] mod … { … }`.
fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    let mut under_cfg = false;
    text.lines().enumerate().filter_map(move |(i, line)| {
        if inside {
            // Formatted sources close a module at the margin.
            inside = line != "}";
            return None;
        }
        if under_cfg && line.contains("mod ") && line.ends_with('{') {
            inside = true;
            return None;
        }
        under_cfg = line == "#[cfg(test)]";
        Some((i + 1, line))
    })
}

/// Checks that no line outside `allowed` modules, or files named whole, has one of `words`.
#[track_caller]
fn only(rule: &str, allowed: &[&str], words: &[&str]) {
    let found: Vec<String> = lines()
        .iter()
        .filter(|line| !allowed.contains(&line.module()) && !allowed.contains(&line.file.as_str()))
        .filter_map(|line| {
            let word = words.iter().find(|word| line.code().contains(**word))?;
            Some(format!("src/{}:{}: {word}", line.file, line.number))
        })
        .collect();
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// Checks that a module's lines, comments too, hold none of `words`, in any case.
#[track_caller]
fn never(rule: &str, module: &str, words: &[&str]) {
    let found: Vec<String> = lines()
        .iter()
        .filter(|line| line.module() == module)
        .filter_map(|line| {
            let text = line.text.to_lowercase();
            let word = words.iter().find(|word| text.contains(**word))?;
            Some(format!("src/{}:{}: {word}", line.file, line.number))
        })
        .collect();
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn only_the_ledger_contains_sql() {
    only(
        "only `ledger` may contain SQL",
        &["ledger"],
        &[
            "rusqlite",
            "SELECT ",
            "INSERT INTO",
            "DELETE FROM",
            "CREATE TABLE",
            "PRAGMA ",
            "BEGIN IMMEDIATE",
        ],
    );
}

#[test]
fn only_http_dials_out() {
    only(
        "only `http` may dial out (`control` speaks over a Unix socket)",
        // The simulated iconik calls webhooks as the real one does, on this machine only.
        &["http", "simulator/iconik/deliver.rs"],
        &["TcpStream::connect", "TcpSocket", "HttpConnector"],
    );
    only(
        "only `control` may dial a Unix socket",
        &["control"],
        &["UnixStream::connect"],
    );
}

#[test]
fn only_control_daemon_and_simulator_listen() {
    only(
        "only `control`, `daemon` and `simulator` may listen",
        &["control", "daemon", "simulator"],
        &["TcpListener::bind", "UnixListener::bind"],
    );
}

#[test]
fn only_the_command_line_prints_or_exits() {
    only(
        "only `cli` may print or exit (`main` hands its exit code on)",
        &["cli", "main"],
        &[
            "println!",
            "eprintln!",
            "print!",
            "eprint!",
            "dbg!",
            "process::exit",
            "process::abort",
            "ExitCode",
        ],
    );
}

#[test]
fn the_engine_names_no_vendor() {
    never(
        "`transfer` may not say iconik or Content Server",
        "transfer",
        &[
            "iconik",
            "content server",
            "content_server",
            "contentserver",
            "opentext",
        ],
    );
}

#[test]
fn the_two_systems_never_name_each_other() {
    never(
        "`iconik` may not name Content Server",
        "iconik",
        &[
            "content server",
            "content_server",
            "contentserver",
            "opentext",
        ],
    );
    never(
        "`content_server` may not name iconik",
        "content_server",
        &["iconik"],
    );
}

#[test]
fn the_reader_of_these_sources_leaves_out_tests_only() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod doubles;\n";
    let kept: Vec<usize> = without_tests(text).map(|(number, _)| number).collect();
    assert_eq!(kept, [1, 2, 6, 7, 8]);
    assert_eq!(
        test_modules(text).collect::<Vec<_>>(),
        ["tests {", "doubles;"]
    );
}
