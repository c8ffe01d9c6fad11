//! `daam policy comment`: one comment on a pull request, written anew with every push instead of once more.
//!
//! The comment is found again by a mark no reader sees, and only among those of the account that writes: a comment of
//! somebody else with the same mark stays theirs, since they could change afterwards what it says. Refused: an address
//! without TLS other than of this machine, and redirects, which could carry the token elsewhere.

use crate::error::{CliError, Doing as _};
use crate::output;
use clap::Args;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// A project with more comments than this has its comment written once more.
const MAX_PAGES: usize = 50;
/// What the services take.
const LIMIT: usize = 65_000;

/// Options of `daam policy comment`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy diff git:main --report markdown=access.md
  daam policy comment access.md --on github:17
  daam policy comment access.md --on gitlab:4 --about data/shop

On GitHub the variables GITHUB_TOKEN, GITHUB_REPOSITORY and GITHUB_API_URL of a workflow are used, on GitLab
DAAM_GITLAB_TOKEN, CI_PROJECT_ID and CI_API_V4_URL of a pipeline.
Exit codes: 0 written, 2 not written.")]
pub struct CommentArgs {
    /// The Markdown to show.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// `github:NUMBER` of a pull request, or `gitlab:NUMBER` of a merge request.
    #[arg(long, value_name = "WHERE")]
    on: Place,
    /// What tells this comment from others of ours, e.g. the project's directory.
    #[arg(long, value_name = "TEXT", default_value = ".")]
    about: String,
    /// The account that writes on GitHub; elsewhere the service says whose token it is.
    #[arg(long, value_name = "LOGIN", default_value = "github-actions[bot]")]
    author: String,
}

/// Where the comment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Github(u64),
    Gitlab(u64),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number =
            |text: &str| text.parse().map_err(|_| format!("`{text}` is not the number of a request"));
        match text.split_once(':') {
            Some(("github", rest)) => Ok(Self::Github(number(rest)?)),
            Some(("gitlab", rest)) => Ok(Self::Gitlab(number(rest)?)),
            _ => Err(format!("`{text}` is neither `github:NUMBER` nor `gitlab:NUMBER`")),
        }
    }
}

/// The service, as far as comments go.
struct Service {
    client: Client,
    /// Of the list of comments.
    list: String,
    /// Of one comment, before its number.
    one: String,
    token: String,
    place: Place,
}

/// Runs it.
pub async fn run(args: &CommentArgs) -> Result<ExitCode, CliError> {
    let shown = args.file.display();
    let text = std::fs::read_to_string(&args.file).doing(format_args!("read `{shown}`"))?;
    let mark = mark(&args.about);
    let body: String = format!("{mark}\n{text}").chars().take(LIMIT).collect();
    let service = Service::open(args.on)?;
    let author = service.author(args).await?;
    let number = service.find(&mark, &author).await?;
    service.write(number.as_ref(), &body).await?;
    output::line(if number.is_some() { "the comment was updated" } else { "the comment was written" });
    Ok(ExitCode::SUCCESS)
}

/// An HTML comment; what it is about cannot end it.
fn mark(about: &str) -> String {
    let about: String =
        about.chars().map(|c| if matches!(c, '<' | '>' | '-') || c.is_control() { '_' } else { c }).collect();
    format!("<!-- daam policy diff of {about} -->")
}

fn variable(name: &str) -> Result<String, CliError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        CliError::usage(format!("the variable {name} is not set")).remedy("run it in a workflow, or set it")
    })
}

/// The address of an API: with TLS, or of this machine.
fn address(name: &str) -> Result<String, CliError> {
    let text = variable(name)?;
    let host = text.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
    if text.starts_with("https://") || matches!(host, Some("127.0.0.1" | "localhost")) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(CliError::usage(format!("{name} is `{text}`, which is not an address with `https://`")))
}

impl Service {
    fn open(place: Place) -> Result<Self, CliError> {
        let (token, list, one) = match place {
            Place::Github(number) => {
                let base =
                    format!("{}/repos/{}/issues", address("GITHUB_API_URL")?, variable("GITHUB_REPOSITORY")?);
                (variable("GITHUB_TOKEN")?, format!("{base}/{number}/comments"), format!("{base}/comments"))
            }
            Place::Gitlab(number) => {
                let base = format!("{}/projects/{}", address("CI_API_V4_URL")?, variable("CI_PROJECT_ID")?);
                let notes = format!("{base}/merge_requests/{number}/notes");
                (variable("DAAM_GITLAB_TOKEN")?, notes.clone(), notes)
            }
        };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .user_agent(concat!("daam/", env!("CARGO_PKG_VERSION")))
            .build()
            .doing("prepare the connection")?;
        Ok(Self { client, list, one, token, place })
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url);
        match self.place {
            Place::Github(_) => {
                request.bearer_auth(&self.token).header("accept", "application/vnd.github+json")
            }
            Place::Gitlab(_) => request.header("PRIVATE-TOKEN", &self.token),
        }
    }

    async fn ask(&self, request: RequestBuilder, doing: &str) -> Result<Value, CliError> {
        let answer = request.send().await.doing(doing)?;
        if !answer.status().is_success() {
            let said = answer.status();
            return Err(CliError::usage(format!("could not {doing}: the service answered {said}"))
                .remedy("the token has to be allowed to write comments"));
        }
        answer.json().await.doing(doing)
    }

    /// The account that writes.
    async fn author(&self, args: &CommentArgs) -> Result<String, CliError> {
        let Place::Gitlab(_) = self.place else { return Ok(args.author.clone()) };
        let url = format!("{}/user", address("CI_API_V4_URL")?);
        let user = self.ask(self.request(Method::GET, &url), "ask whose token it is").await?;
        let name = user.get("username").and_then(Value::as_str).map(str::to_owned);
        name.ok_or_else(|| CliError::usage("the service does not say whose token it is"))
    }

    /// Our comment, if there is one.
    async fn find(&self, mark: &str, author: &str) -> Result<Option<Value>, CliError> {
        for page in 1..=MAX_PAGES {
            let url = format!("{}?per_page=100&page={page}", self.list);
            let list = self.ask(self.request(Method::GET, &url), "list the comments").await?;
            let comments = list.as_array().map(Vec::as_slice).unwrap_or_default();
            let ours = |comment: &&Value| {
                let text = |path: &str| comment.pointer(path).and_then(Value::as_str);
                let writer = text("/user/login").or_else(|| text("/author/username"));
                writer == Some(author) && text("/body").is_some_and(|body| body.starts_with(mark))
            };
            if let Some(found) = comments.iter().find(ours) {
                return Ok(found.get("id").cloned());
            }
            if comments.len() < 100 {
                break;
            }
        }
        Ok(None)
    }

    async fn write(&self, number: Option<&Value>, body: &str) -> Result<(), CliError> {
        let (method, url) = match (number, self.place) {
            (None, _) => (Method::POST, self.list.clone()),
            (Some(number), Place::Github(_)) => (Method::PATCH, format!("{}/{number}", self.one)),
            (Some(number), Place::Gitlab(_)) => (Method::PUT, format!("{}/{number}", self.one)),
        };
        let request = self.request(method, &url).json(&json!({ "body": body }));
        self.ask(request, "write the comment").await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_comment_is_about_cannot_end_its_mark() {
        assert_eq!(mark("a--><b>"), "<!-- daam policy diff of a____b_ -->");
        assert_ne!(mark("a"), mark("b"));
    }

    #[test]
    fn a_place_has_a_number() {
        assert_eq!("github:17".parse(), Ok(Place::Github(17)));
        assert!("github:x".parse::<Place>().is_err() && "17".parse::<Place>().is_err());
    }
}
