//! File globs of `daam.yaml`: `*` and `?` stay inside one path segment, `**` stands for any number of segments.
//!
//! There are no braces, classes or negations. Matching is over paths the file source lists, never over a disk.

/// Whether the glob covers the path.
pub(crate) fn matches(glob: &str, path: &str) -> bool {
    let glob: Vec<&str> = glob.trim_start_matches("./").split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    segments(&glob, &path)
}

/// Tells row by row which prefixes of the path the globs so far can cover, so that `**/**/**` stays cheap.
fn segments(glob: &[&str], path: &[&str]) -> bool {
    let mut reached: Vec<bool> = std::iter::once(true).chain(path.iter().map(|_| false)).collect();
    for part in glob {
        let mut next = vec![false; path.len() + 1];
        if *part == "**" {
            let mut open = false;
            for (slot, before) in next.iter_mut().zip(&reached) {
                open |= *before;
                *slot = open;
            }
        } else {
            for ((slot, before), name) in next.iter_mut().skip(1).zip(&reached).zip(path) {
                *slot = *before && segment(part, name);
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn segment(glob: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached: Vec<bool> = std::iter::once(true).chain(name.iter().map(|_| false)).collect();
    for sign in glob.chars() {
        let mut next = vec![false; name.len() + 1];
        if sign == '*' {
            let mut open = false;
            for (slot, before) in next.iter_mut().zip(&reached) {
                open |= *before;
                *slot = open;
            }
        } else {
            for ((slot, before), c) in next.iter_mut().skip(1).zip(&reached).zip(&name) {
                *slot = *before && (sign == '?' || sign == *c);
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn two_stars_cross_directories_and_one_does_not() {
        assert!(matches("policies/**/*.yaml", "policies/a.yaml"));
        assert!(matches("policies/**/*.yaml", "policies/team/x/a.yaml"));
        assert!(!matches("policies/*.yaml", "policies/team/a.yaml"));
        assert!(!matches("policies/**/*.yaml", "other/a.yaml"));
        assert!(matches("./policies/?.yaml", "policies/a.yaml"));
        assert!(!matches("policies/a.yaml", "policies/a.yaml.bak"));
        assert!(matches("**", "a/b/c"));
    }
}
