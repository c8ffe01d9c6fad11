//! Where the server's programs are.

use crate::PostgresError;
use std::path::{Path, PathBuf};

/// A directory that holds `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub dir: PathBuf,
}

/// Looks in `wanted` if given; else in `DAAM_POSTGRES_BIN`, the newest `/usr/lib/postgresql/*/bin`, then `PATH`.
pub fn find_binaries(wanted: Option<&Path>) -> Result<Binaries, PostgresError> {
    if let Some(dir) =
        wanted.map(Path::to_owned).or_else(|| std::env::var_os("DAAM_POSTGRES_BIN").map(PathBuf::from))
    {
        return if usable(&dir) { Ok(Binaries { dir }) } else { Err(PostgresError::NotHere(dir)) };
    }
    packaged().or_else(on_path).map(|dir| Binaries { dir }).ok_or(PostgresError::NoBinaries)
}

fn usable(dir: &Path) -> bool {
    dir.join("postgres").is_file() && dir.join("initdb").is_file()
}

fn packaged() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| usable(dir))
        .collect();
    versions.sort();
    versions.pop().map(|(_, dir)| dir)
}

fn on_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter_map(|dir| dir.join("postgres").canonicalize().ok())
        .filter_map(|program| program.parent().map(Path::to_owned))
        .find(|dir| usable(dir))
}
