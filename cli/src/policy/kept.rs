//! Compiled databases kept between runs, so that a question about a large project is answered at once.
//!
//! Answers only: `check`, `test`, `diff` and `build` read the files every time. What is kept counts while no file of
//! the project has another size, time or place on the disk, on the same day, for the same build of the program. A project
//! that was changed within the last seconds is not kept: the clock of a file system may not tell two changes apart.
//! Whatever is wrong with what is kept, the project is checked anew.

use super::project::{DiskFiles, ProjectArgs};
use super::report::require_meaning;
use crate::error::CliError;
use crate::home::{Home, private_dir, write_private};
use clap::Args;
use daam_compiler::{CompiledDatabase, Workspace, stored};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Projects with fewer bytes are checked faster than it takes to say so.
const WORTH_KEEPING: u64 = 256 * 1024;
/// The coarsest clock of a file system in use.
const UNCERTAIN: Duration = Duration::from_secs(2);
/// Projects that are kept.
const MOST: usize = 16;

/// What is asked.
#[derive(Debug, Args)]
pub struct AskedArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The database; may be left out if the project has one.
    #[arg(long)]
    database: Option<String>,
    /// Check the project even if none of its files has changed since it was last asked. What large projects compile to is
    /// kept in `$DAAM_HOME/compiled` for questions; `check`, `test`, `diff` and `build` never use it.
    #[arg(long)]
    no_cache: bool,
}

impl AskedArgs {
    /// The database with its meaning; without one, the project's findings are the answer.
    pub fn database(&self) -> Result<CompiledDatabase, CliError> {
        let mut databases = self.databases()?;
        let name = super::ask::database(self.database.as_deref(), &databases)?.policies.database.clone();
        databases.remove(&name).ok_or_else(|| CliError::usage(format!("there is no database `{name}`")))
    }

    fn databases(&self) -> Result<BTreeMap<String, CompiledDatabase>, CliError> {
        let root = &self.project.project;
        let place = if self.no_cache { None } else { place(root) };
        Ok(databases(root, place.as_deref(), SystemTime::now())?.0)
    }
}

/// The databases of a project, and whether they were kept at that place.
fn databases(
    root: &Path,
    place: Option<&Path>,
    now: SystemTime,
) -> Result<(BTreeMap<String, CompiledDatabase>, bool), CliError> {
    let files = DiskFiles::open(root)?;
    let (known, seen) = std::thread::scope(|scope| {
        // What is kept is read while it is not yet known whether it still counts.
        let read = |place| std::thread::Builder::new().spawn_scoped(scope, move || Known::read(place));
        let reading = place.map(read);
        let seen = place.and_then(|_| Seen::of(root, &files, now).ok());
        (reading.and_then(Result::ok).and_then(|thread| thread.join().ok()).flatten(), seen)
    });
    if let (Some(known), Some(seen)) = (known, &seen)
        && known.key == seen.key
    {
        return Ok((known.databases, true));
    }
    let checked = Workspace::new(super::check::options()).check(&files);
    require_meaning(&checked)?;
    if let (Some(place), Some(seen)) = (place, &seen)
        && seen.is_worth_keeping()
    {
        // Nobody asked for it: a full disk is no reason not to answer.
        let _ = keep(place, seen, &checked.databases);
    }
    Ok((checked.databases, false))
}

/// What a project looked like before its files were read.
struct Seen {
    key: [u8; 32],
    bytes: u64,
    newest: SystemTime,
    at: SystemTime,
}

impl Seen {
    fn of(root: &Path, files: &DiskFiles, at: SystemTime) -> io::Result<Self> {
        let mut seen = Self { key: [0; 32], bytes: 0, newest: SystemTime::UNIX_EPOCH, at };
        let mut digest = Sha256::new();
        digest.update(format!("{:?}", super::check::options().today));
        identify(&mut digest, &std::env::current_exe()?.metadata()?);
        for name in files.listed() {
            let found = root.join(name).symlink_metadata()?;
            digest.update(name);
            digest.update([0]);
            identify(&mut digest, &found);
            seen.bytes = seen.bytes.saturating_add(found.len());
            seen.newest = seen.newest.max(changed(&found));
        }
        seen.key = digest.finalize().into();
        Ok(seen)
    }

    fn is_worth_keeping(&self) -> bool {
        let quiet = self.at.duration_since(self.newest).is_ok_and(|quiet| quiet > UNCERTAIN);
        quiet && self.bytes >= WORTH_KEEPING
    }
}

/// All that tells one state of a file from another without reading it.
fn identify(digest: &mut Sha256, found: &Metadata) {
    for number in [found.dev(), found.ino(), found.size()] {
        digest.update(number.to_le_bytes());
    }
    for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
        digest.update(number.to_le_bytes());
    }
}

/// When the file was last touched in any way.
fn changed(found: &Metadata) -> SystemTime {
    let seconds = u64::try_from(found.ctime()).unwrap_or(u64::MAX);
    let status = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.saturating_add(1)));
    // A time no clock can show is in the future: such a file is never taken for unchanged.
    let far = SystemTime::now() + UNCERTAIN;
    status.unwrap_or(far).max(found.modified().unwrap_or(far))
}

/// What was kept.
struct Known {
    key: [u8; 32],
    databases: BTreeMap<String, CompiledDatabase>,
}

impl Known {
    fn read(place: &Path) -> Option<Self> {
        let bytes = std::fs::read(place).ok()?;
        let (key, databases) = bytes.split_first_chunk::<32>()?;
        Some(Self { key: *key, databases: stored::from_bytes(databases).ok()? })
    }
}

/// Where a project is kept: in this user's private directory, under what its path gives.
fn place(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let name = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let name = u128::from_be_bytes(*name.first_chunk()?);
    let home = Home::find().ok()?;
    home.prepare().ok()?;
    Some(home.file("compiled").join(format!("{name:032x}")))
}

fn keep(place: &Path, seen: &Seen, databases: &BTreeMap<String, CompiledDatabase>) -> Result<(), CliError> {
    let (Ok(bytes), Some(directory)) = (stored::to_bytes(databases), place.parent()) else { return Ok(()) };
    private_dir(directory)?;
    write_private(place, [&seen.key, bytes.as_slice()].concat())?;
    forget(directory);
    Ok(())
}

/// Makes room: what was kept longest ago goes first.
fn forget(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut kept: Vec<(SystemTime, PathBuf)> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    kept.sort_unstable();
    for (_, path) in kept.iter().rev().skip(MOST) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::{Catalog, Identifier, Relation, RelationKind, RelationName};
    use daam_compiler::effects::{Class, Condition, Index, Side};
    use std::fs;

    /// A project that is large enough, and a clock that shows a later time.
    fn project() -> (tempfile::TempDir, SystemTime) {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        fs::create_dir_all(root.join("project/policies")).unwrap();
        fs::create_dir_all(root.join("project/schema")).unwrap();
        let name = RelationName::stored("public", "t").unwrap();
        let table = Relation::new(name.clone(), RelationKind::Table, Identifier::stored("postgres").unwrap());
        let catalog = Catalog { relations: [(name, table)].into(), ..Catalog::default() };
        for (name, text) in daam_catalog::lock::to_files(&catalog) {
            fs::write(root.join("project/schema").join(name), text).unwrap();
        }
        let database = "lock: schema\n    policies: [policies/*.yaml]";
        let text = format!("kind: project\ndatabases:\n  shop:\n    {database}\n# {}\n", "x".repeat(300_000));
        fs::write(root.join("project/daam.yaml"), text).unwrap();
        grant(root, "sales");
        (scratch, SystemTime::now() + Duration::from_secs(10))
    }

    fn grant(root: &Path, group: &str) {
        let policy = format!(
            "kind: policy\nname: a\ndatabase: shop\nsubjects: {{ groups: [{group}] }}\n\
             grants:\n  - {{ on: public.*, allow: [select] }}\n"
        );
        fs::write(root.join("project/policies/a.yaml"), policy).unwrap();
    }

    /// Who the one policy is for, and whether that was kept.
    fn ask(root: &Path, now: SystemTime) -> (String, bool) {
        let (databases, kept) = databases(&root.join("project"), Some(&root.join("kept/it")), now).unwrap();
        let database = &databases["shop"];
        let classes = Index::of(&Side::of(database)).classes();
        let groups = classes.iter().filter(|class| matches!(class, Class::Group(_)));
        assert!(Index::of(&Side::of(database)).conditions(&Class::Everyone).contains(&Condition::Standing));
        (groups.map(ToString::to_string).collect(), kept)
    }

    #[test]
    fn what_was_compiled_is_kept_until_a_file_changes() {
        let (scratch, now) = project();
        let root = scratch.path();
        assert_eq!(ask(root, now), ("group:sales".to_owned(), false));
        assert_eq!(ask(root, now), ("group:sales".to_owned(), true));
        // As long as before, and as old as before.
        let path = root.join("project/policies/a.yaml");
        let modified = path.metadata().unwrap().modified().unwrap();
        grant(root, "legal");
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(ask(root, now), ("group:legal".to_owned(), false));
        assert_eq!(ask(root, now), ("group:legal".to_owned(), true));
        fs::write(root.join("project/policies/b.yaml"), "kind: group\nname: g\nmembers: []\n").unwrap();
        assert!(!ask(root, now).1);
        fs::remove_file(root.join("project/policies/b.yaml")).unwrap();
        assert!(!ask(root, now).1);
    }

    #[test]
    fn what_changed_just_now_is_not_kept() {
        let (scratch, _) = project();
        assert!(!ask(scratch.path(), SystemTime::now()).1);
        assert!(!ask(scratch.path(), SystemTime::now()).1);
        assert!(!scratch.path().join("kept").exists());
    }

    #[test]
    fn what_is_kept_and_cannot_be_read_is_made_anew() {
        let (scratch, now) = project();
        let place = scratch.path().join("kept/it");
        ask(scratch.path(), now);
        let whole = fs::read(&place).unwrap();
        for wrong in [&whole[..40], &whole[..10], &[][..]] {
            fs::write(&place, wrong).unwrap();
            assert_eq!(ask(scratch.path(), now), ("group:sales".to_owned(), false));
            assert!(ask(scratch.path(), now).1);
        }
    }

    #[test]
    fn a_project_with_errors_answers_nothing_whatever_was_kept() {
        let (scratch, now) = project();
        let root = scratch.path();
        ask(root, now);
        fs::write(root.join("project/policies/a.yaml"), "kind: policy\n").unwrap();
        assert!(databases(&root.join("project"), Some(&root.join("kept/it")), now).is_err());
    }

    #[test]
    fn only_the_projects_asked_last_are_kept() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 0..MOST + 3 {
            let path = scratch.path().join(format!("{number}"));
            fs::write(&path, "").unwrap();
            let age = Duration::from_secs(u64::try_from(number).unwrap() * 60);
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(SystemTime::now() - age)
                .unwrap();
        }
        forget(scratch.path());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), MOST);
        assert!(scratch.path().join("0").exists() && !scratch.path().join("18").exists());
    }
}
