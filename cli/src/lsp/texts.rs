//! The texts of a project as an editor sees them: files on disk, and on top of them the buffers it has open.

use crate::error::CliError;
use crate::policy::project::DiskFiles;
use daam_compiler::{FileSource, PROJECT_FILE, ReadError, is_of_project};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All texts of one project, kept in memory: a keystroke must not read ten thousand files.
#[derive(Debug)]
pub(super) struct Texts {
    root: PathBuf,
    disk: BTreeMap<String, Arc<str>>,
    buffers: BTreeMap<String, Arc<str>>,
}

impl Texts {
    /// Reads the project.
    pub(super) fn open(root: &Path) -> Result<Self, CliError> {
        let mut texts = Self { root: root.to_owned(), disk: BTreeMap::new(), buffers: BTreeMap::new() };
        texts.reload()?;
        Ok(texts)
    }

    /// The project's directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads everything on disk again; a text that did not change stays the same one.
    pub(super) fn reload(&mut self) -> Result<(), CliError> {
        let files = DiskFiles::open(&self.root)?;
        let mut disk = BTreeMap::new();
        for path in files.paths().into_iter().filter(|path| is_of_project(path)) {
            // A file that cannot be read is reported by `daam policy check`; an editor has nothing to show of it.
            let Ok(text) = files.read(&path) else { continue };
            let same = self.disk.get(&path).filter(|known| ***known == *text).cloned();
            disk.insert(path, same.unwrap_or_else(|| Arc::from(text)));
        }
        self.disk = disk;
        Ok(())
    }

    /// What an editor has open counts, saved or not.
    pub(super) fn edit(&mut self, path: &str, text: String) {
        self.buffers.insert(path.to_owned(), Arc::from(text));
    }

    /// The file on disk counts again.
    pub(super) fn close(&mut self, path: &str) {
        self.buffers.remove(path);
    }

    /// The path of a file within the project, if it is inside.
    pub(super) fn relative(&self, file: &Path) -> Option<String> {
        let inside = file.strip_prefix(&self.root).ok()?;
        let parts: Option<Vec<&str>> = inside.components().map(|part| part.as_os_str().to_str()).collect();
        parts.map(|parts| parts.join("/"))
    }

    fn get(&self, path: &str) -> Option<&Arc<str>> {
        self.buffers.get(path).or_else(|| self.disk.get(path))
    }
}

impl FileSource for Texts {
    fn paths(&self) -> Vec<String> {
        let new = self.buffers.keys().filter(|path| !self.disk.contains_key(*path));
        self.disk.keys().chain(new).cloned().collect()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        let absent = || ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        self.get(path).map(ToString::to_string).ok_or_else(absent)
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        let absent = |path: &str| ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        paths.iter().map(|path| self.get(path).cloned().ok_or_else(|| absent(path))).collect()
    }
}

/// The nearest directory with a project file, from a file or directory upwards.
pub(super) fn project_of(place: &Path) -> Option<PathBuf> {
    place.ancestors().find(|directory| directory.join(PROJECT_FILE).is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_buffer_hides_the_file_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(PROJECT_FILE), "kind: project\n").unwrap();
        let mut texts = Texts::open(dir.path()).unwrap();
        texts.edit(PROJECT_FILE, "kind: proj".to_owned());
        texts.edit("policies/new.yaml", "kind: policy\n".to_owned());
        assert_eq!(FileSource::read(&texts, PROJECT_FILE).unwrap(), "kind: proj");
        assert_eq!(texts.paths(), [PROJECT_FILE, "policies/new.yaml"]);
        texts.close(PROJECT_FILE);
        texts.close("policies/new.yaml");
        assert_eq!(FileSource::read(&texts, PROJECT_FILE).unwrap(), "kind: project\n");
        assert_eq!(texts.paths(), [PROJECT_FILE]);
    }

    #[test]
    fn the_project_of_a_file_is_the_nearest_directory_with_a_project_file() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/policies");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(dir.path().join("a").join(PROJECT_FILE), "kind: project\n").unwrap();
        assert_eq!(project_of(&inner.join("x.yaml")), Some(dir.path().join("a")));
        assert_eq!(project_of(Path::new("/")), None);
    }
}
