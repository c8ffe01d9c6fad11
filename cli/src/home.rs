//! The private directory of this user: `$DAAM_HOME`, by default `~/.daam`.
//!
//! Directories made here are 0700 and files 0600, whatever the umask says; a file is replaced by renaming, so a
//! reader never sees half of one. The environment is read here and nowhere else.

use crate::error::{CliError, Doing as _};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where this user's files are.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// From `DAAM_HOME`, else `HOME`.
    pub fn find() -> Result<Self, CliError> {
        if let Some(dir) = variable("DAAM_HOME") {
            return Ok(Self(PathBuf::from(dir)));
        }
        variable("HOME").map(|home| Self(PathBuf::from(home).join(".daam"))).ok_or_else(|| {
            CliError::usage("neither DAAM_HOME nor HOME is set")
                .remedy("set DAAM_HOME to a private directory")
        })
    }

    /// A named directory instead.
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes sure the directory exists and is private.
    pub fn prepare(&self) -> Result<(), CliError> {
        private_dir(&self.0)
    }
}

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// An environment variable as text.
pub fn text_variable(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

/// The directories programs are looked up in.
pub fn search_path() -> Vec<PathBuf> {
    variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// Makes a directory only its owner can enter; an existing one is tightened.
pub fn private_dir(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
        .doing(format_args!("make the private directory `{}`", dir.display()))
}

/// Writes a file only its owner can read, replacing any earlier one at once.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), CliError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    write_new(&fresh, content.as_ref())
        .and_then(|()| fs::rename(&fresh, path))
        .doing(format_args!("write `{}`", path.display()))
}

/// Reads a file that may not exist.
pub fn read_if_present(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::usage(format!("could not read `{}`", path.display())).because(error)),
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_private_and_replaced_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::at(&scratch.path().join("a/b"));
        home.prepare().unwrap();
        let file = home.file("secret");
        write_private(&file, "one").unwrap();
        write_private(&file, "two").unwrap();
        assert_eq!(read_if_present(&file).unwrap().as_deref(), Some("two"));
        assert_eq!(read_if_present(&home.file("none")).unwrap(), None);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(scratch.path().join("a/b")).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(scratch.path().join("a/b")).unwrap().count(), 1);
    }
}
