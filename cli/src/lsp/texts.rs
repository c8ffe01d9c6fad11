//! The texts of a project as an editor sees them: files on disk, and on top of them the buffers it has open.

use crate::error::CliError;
use crate::policy::project::DiskFiles;
use daam_compiler::{FileSource, PROJECT_FILE, ReadError, is_of_project};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All texts of one project, kept in memory: a keystroke must not read ten thousand files.
#[derive(Debug)]
pub(super) struct Texts {
    root: PathBuf,
    disk: BTreeMap<String, Arc<str>>,
    /// What the editor has open.
    buffers: BTreeSet<String>,
    /// What counts: buffers where there are any, files elsewhere.
    shown: BTreeMap<String, Arc<str>>,
}

impl Texts {
    /// Reads the project.
    pub(super) fn open(root: &Path) -> Result<Self, CliError> {
        let files = DiskFiles::open(root)?;
        let paths: Vec<String> = files.paths().into_iter().filter(|path| is_of_project(path)).collect();
        let names: Vec<&str> = paths.iter().map(String::as_str).collect();
        let texts = files.read_all(&names);
        let disk: BTreeMap<String, Arc<str>> =
            paths.iter().cloned().zip(texts).filter_map(|(path, text)| Some((path, text.ok()?))).collect();
        Ok(Self { root: root.to_owned(), shown: disk.clone(), disk, buffers: BTreeSet::new() })
    }

    /// The project's directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads everything on disk again; a text that did not change stays the same one.
    pub(super) fn reload(&mut self) -> Result<(), CliError> {
        let mut paths: BTreeSet<String> = DiskFiles::open(&self.root)?.paths().into_iter().collect();
        paths.extend(self.disk.keys().cloned());
        for path in &paths {
            self.reload_file(path);
        }
        Ok(())
    }

    /// Reads what was saved, made or removed: a file, or the files known below a directory.
    pub(super) fn reload_below(&mut self, path: &str) {
        let below = format!("{path}/");
        let known = self.disk.range(below.clone()..).map(|(path, _)| path);
        let known: Vec<String> = known.take_while(|path| path.starts_with(&below)).cloned().collect();
        for path in known.iter().map(String::as_str).chain([path]) {
            self.reload_file(path);
        }
    }

    fn reload_file(&mut self, path: &str) {
        let text =
            Some(path).filter(|path| is_of_project(path)).and_then(|path| DiskFiles::one(&self.root, path));
        match (text, self.disk.get(path)) {
            (Some(text), Some(known)) if **known == *text => return,
            // A file that cannot be read is reported by `daam policy check`; an editor has nothing to show of it.
            (None, None) => return,
            (Some(text), _) => drop(self.disk.insert(path.to_owned(), Arc::from(text))),
            (None, Some(_)) => drop(self.disk.remove(path)),
        }
        if !self.buffers.contains(path) {
            self.show_file(path);
        }
    }

    /// What an editor has open counts, saved or not.
    pub(super) fn edit(&mut self, path: &str, text: String) {
        self.buffers.insert(path.to_owned());
        if self.shown.get(path).is_none_or(|known| **known != *text) {
            self.shown.insert(path.to_owned(), Arc::from(text));
        }
    }

    /// The file on disk counts again.
    pub(super) fn close(&mut self, path: &str) {
        self.buffers.remove(path);
        self.show_file(path);
    }

    /// Whether the editor has it open.
    pub(super) fn is_open(&self, path: &str) -> bool {
        self.buffers.contains(path)
    }

    fn show_file(&mut self, path: &str) {
        match self.disk.get(path) {
            Some(text) => drop(self.shown.insert(path.to_owned(), Arc::clone(text))),
            None => drop(self.shown.remove(path)),
        }
    }

    /// The path of a file within the project, if it is inside.
    pub(super) fn relative(&self, file: &Path) -> Option<String> {
        let inside = file.strip_prefix(&self.root).ok()?;
        let parts: Option<Vec<&str>> = inside.components().map(|part| part.as_os_str().to_str()).collect();
        parts.map(|parts| parts.join("/"))
    }

    fn get(&self, path: &str) -> Option<&Arc<str>> {
        self.shown.get(path)
    }
}

impl FileSource for Texts {
    fn paths(&self) -> Vec<String> {
        self.shown.keys().cloned().collect()
    }

    fn read(&self, path: &str) -> Result<String, ReadError> {
        let absent = || ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        self.get(path).map(ToString::to_string).ok_or_else(absent)
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Arc<str>, ReadError>> {
        let absent = |path: &str| ReadError { path: path.to_owned(), reason: "no such file".to_owned() };
        paths.iter().map(|path| self.get(path).cloned().ok_or_else(|| absent(path))).collect()
    }

    fn kept(&self) -> Option<&BTreeMap<String, Arc<str>>> {
        Some(&self.shown)
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
    fn only_what_changed_on_disk_is_read_again_and_an_open_buffer_stays_in_front() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), text).unwrap();
        };
        write(PROJECT_FILE, "kind: project\n");
        write("policies/a.yaml", "a: 1\n");
        let mut texts = Texts::open(dir.path()).unwrap();
        texts.edit("policies/a.yaml", "a: 2\n".to_owned());
        let buffer = Arc::clone(texts.get("policies/a.yaml").unwrap());
        write("policies/a.yaml", "a: 3\n");
        write("policies/b.yaml", "b: 1\n");
        texts.reload_below("policies/a.yaml");
        assert!(Arc::ptr_eq(&buffer, texts.get("policies/a.yaml").unwrap()));
        assert_eq!(texts.paths(), [PROJECT_FILE, "policies/a.yaml"]);
        texts.reload_below("policies/b.yaml");
        assert_eq!(texts.paths(), [PROJECT_FILE, "policies/a.yaml", "policies/b.yaml"]);
        texts.close("policies/a.yaml");
        assert_eq!(FileSource::read(&texts, "policies/a.yaml").unwrap(), "a: 3\n");
        std::fs::remove_dir_all(dir.path().join("policies")).unwrap();
        texts.reload_below("policies");
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
