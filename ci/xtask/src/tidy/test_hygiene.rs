//! No test may be switched off, and no promise may be left as a macro.

use super::Finding;
use crate::tree::SourceFile;

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    // The needles are put together at run time so that this file does not find itself.
    let needles = [("#[ign", "ore"), ("#[should_", "panic"), ("todo", "!("), ("unimplemented", "!(")];
    let mut findings = Vec::new();
    for (number, line) in (1_usize..).zip(file.text.lines()) {
        for (head, tail) in needles {
            let needle = format!("{head}{tail}");
            if line.contains(&needle) {
                findings.push(Finding::new("test-hygiene", &file.path, format!("line {number}: `{needle}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switched_off_test_is_found() {
        let text = ["#[ig", "nore]\nfn x() {}\n"].concat();
        assert_eq!(check(&SourceFile { path: "a.rs".into(), text }).len(), 1);
    }
}
