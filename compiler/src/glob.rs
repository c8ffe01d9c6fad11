//! File globs of `daam.yaml`: `*` and `?` stay inside one path segment, `**` stands for any number of segments.
//!
//! There are no braces, classes or negations. Matching is over paths the file source lists, never over a disk. Time
//! grows with the product of the two lengths at worst, whatever the glob: `**/**/**` stays cheap.

/// A glob, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    segments: Vec<String>,
}

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        Self { segments: text.trim_start_matches("./").split('/').map(str::to_owned).collect() }
    }

    /// Whether the glob covers the path.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.matches(&path.split('/').collect::<Vec<_>>())
    }

    /// The same, of a path given by its segments.
    pub(crate) fn matches(&self, path: &[&str]) -> bool {
        let mut glob = self.segments.as_slice();
        let mut rest = path;
        // Where to go on if what follows the last `**` does not fit: one segment further.
        let mut again: Option<(&[String], &[&str])> = None;
        loop {
            match (glob.split_first(), rest.split_first()) {
                (None, None) => return true,
                (Some((part, after)), _) if part == "**" => {
                    glob = after;
                    again = Some((after, rest));
                    continue;
                }
                (Some((part, after)), Some((name, more))) if segment(part, name) => {
                    (glob, rest) = (after, more);
                    continue;
                }
                (Some(_), None) => return false,
                _ => {}
            }
            let Some((after, from)) = again else { return false };
            let Some((_, from)) = from.split_first() else { return false };
            (glob, rest) = (after, from);
            again = Some((after, from));
        }
    }
}

fn segment(glob: &str, name: &str) -> bool {
    let (mut glob, mut rest) = (glob.chars(), name.chars());
    let mut again: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (mut after, mut more) = (glob.clone(), rest.clone());
        match (after.next(), more.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                again = Some((after.clone(), rest.clone()));
                glob = after;
                continue;
            }
            (Some(sign), Some(c)) if sign == '?' || sign == c => {
                (glob, rest) = (after, more);
                continue;
            }
            (Some(_), None) => return false,
            _ => {}
        }
        let Some((after, from)) = &mut again else { return false };
        if from.next().is_none() {
            return false;
        }
        (glob, rest) = (after.clone(), from.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::*;

    fn matches(glob: &str, path: &str) -> bool {
        Glob::new(glob).covers(path)
    }

    /// What the words of the documentation say, tried out in every way.
    fn every_way<T: Copy>(
        glob: &[T],
        text: &[T],
        many: &impl Fn(T) -> bool,
        one: &impl Fn(T, T) -> bool,
    ) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((star, after)), _) if many(*star) => {
                (0..=text.len()).any(|taken| every_way(after, &text[taken..], many, one))
            }
            (Some((sign, after)), Some((c, rest))) => one(*sign, *c) && every_way(after, rest, many, one),
            _ => false,
        }
    }

    fn expected(glob: &str, path: &str) -> bool {
        let glob: Vec<&str> = glob.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        every_way(&glob, &path, &|part| part == "**", &|part, name| {
            let part: Vec<char> = part.chars().collect();
            let name: Vec<char> = name.chars().collect();
            every_way(&part, &name, &|sign| sign == '*', &|sign, c| sign == '?' || sign == c)
        })
    }

    proptest! {
        #[test]
        fn no_shortcut_changes_what_a_glob_covers(glob in "([ab*?]{1,3}/|\\*\\*/){0,3}[ab*?]{1,3}", path in "[ab]{1,3}(/[ab]{1,3}){0,4}") {
            prop_assert_eq!(matches(&glob, &path), expected(&glob, &path));
        }
    }

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
