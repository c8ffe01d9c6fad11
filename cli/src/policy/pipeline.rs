//! The pipeline a new project gets: the very files of `ci/`, told where the project is.

use clap::ValueEnum;
use std::path::{Path, PathBuf};

const GITHUB: &str = include_str!("../../../ci/github/workflow.yml");
const GITLAB: &str = include_str!("../../../ci/gitlab/policy.yml");

/// Where pull requests are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pipeline {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

impl Pipeline {
    /// Its file and what is in it, for the project in that directory.
    pub fn file(self, project: &Path) -> (PathBuf, String) {
        let absolute = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        let repository = absolute.ancestors().find(|directory| directory.join(".git").exists());
        let inner = repository.and_then(|root| absolute.strip_prefix(root).ok()).and_then(Path::to_str);
        // A path that would have to be quoted is left for the reader to fill in.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
        let inner = inner.filter(|path| !path.is_empty() && path.chars().all(plain)).unwrap_or(".");
        let (path, text) = match self {
            Self::Github => {
                let text = GITHUB.replace("default: .", &format!("default: {inner}"));
                (".github/workflows/policy.yml", text.replace("|| '.'", &format!("|| '{inner}'")))
            }
            Self::Gitlab => {
                (".gitlab-ci.yml", GITLAB.replace("DAAM_PROJECT: .", &format!("DAAM_PROJECT: {inner}")))
            }
        };
        (repository.unwrap_or(project).join(path), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipeline_stands_at_the_root_of_the_repository_and_names_the_project() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let project = root.join("data/shop");
        std::fs::create_dir_all(&project).unwrap();
        assert_eq!(Pipeline::Gitlab.file(&project).0, project.join(".gitlab-ci.yml"));
        std::fs::create_dir(root.join(".git")).unwrap();
        let (path, text) = Pipeline::Github.file(&project);
        assert_eq!(path, root.join(".github/workflows/policy.yml"));
        assert!(text.contains("default: data/shop\n") && text.contains("|| 'data/shop' }}"), "{text}");
        let (path, text) = Pipeline::Gitlab.file(&project);
        assert_eq!(path, root.join(".gitlab-ci.yml"));
        assert!(text.contains("DAAM_PROJECT: data/shop\n"), "{text}");
        assert!(Pipeline::Github.file(&root).1 == GITHUB);
    }
}
