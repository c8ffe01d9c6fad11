//! A project file of any content: findings, never a panic, and the same ones whatever was checked before.

use super::policy::{every_report, shop, told, whatever_came_before};
use daam_compiler::{PROJECT_FILE, check, format};

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(project) = std::str::from_utf8(bytes) else { return };
    let files = shop().with(PROJECT_FILE, project);
    let checked = check(&files);
    every_report(&checked);
    assert!(checked.databases.is_empty() || checked.has_meaning(), "half a project was built");
    whatever_came_before(&files, &checked);
    if let Ok(once) = format::format(project) {
        assert_eq!(format::format(&once).as_ref(), Ok(&once), "formatting twice is not formatting once");
        let again = check(&shop().with(PROJECT_FILE, once));
        assert_eq!(again.databases.len(), checked.databases.len(), "formatting changes what compiles");
        assert_eq!(
            told(&again).contains("DAAM"),
            told(&checked).contains("DAAM"),
            "formatting changes findings"
        );
    }
}
