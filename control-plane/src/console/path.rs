//! Where to go on to after signing in: a path of ours and nothing else, whatever somebody put into a link.

/// A path of this console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

const LONGEST: usize = 512;

impl LocalPath {
    /// The overview, unless `text` is a path here. Browsers read `//` and `/\` as another host, and drop tabs and line
    /// ends before they look.
    pub(crate) fn or_overview(text: &str) -> Self {
        let plain = |c: char| c.is_ascii_graphic() && c != '\\';
        let local = text.starts_with('/') && !text.starts_with("//") && text.len() <= LONGEST;
        let good = local && text.chars().all(plain) && !text.starts_with("/sign-");
        Self(if good { text.to_owned() } else { "/".to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_on_to() {
        for good in ["/", "/agents/x#violations", "/audit?q=a%20b"] {
            assert_eq!(LocalPath::or_overview(good).as_str(), good);
        }
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "\\\\evil.example",
            "/a\r\nSet-Cookie: x=y",
            "javascript:alert(1)",
            "/sign-out",
            "evil.example",
            "/ü",
        ] {
            assert_eq!(LocalPath::or_overview(bad).as_str(), "/", "{bad:?}");
        }
    }
}
