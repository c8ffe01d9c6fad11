//! Measures the compiler on large projects: `ci/bench` runs it, and can be told to write the project to a directory.
//!
//! ```text
//! large generate DIR [POLICIES [TABLES]]     writes the project
//! large measure [POLICIES [TABLES]]          measures inside this process; one line `name<TAB>milliseconds` each
//! ```

mod measure;
mod project;

use project::Size;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", directory, sizes @ ..] => {
            for (path, text) in project::files(size(sizes)) {
                let path = Path::new(directory).join(path);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(path, text)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ["measure", sizes @ ..] => {
            measure::run(size(sizes), &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            let usage = "usage: large generate DIR [POLICIES [TABLES]] | large measure [POLICIES [TABLES]]";
            writeln!(std::io::stdout(), "{usage}")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn size(words: &[&str]) -> Size {
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
    Size { policies: number(0).unwrap_or(10_000), tables: number(1).unwrap_or(5_000) }
}
