//! The comment every role of an agent carries, so that a sweep knows what it may touch.
//!
//! `daam agent=<agent>/<database> session=<id> created=<unix seconds>`; shared roles have `session=-`.
//! Anything that does not read back exactly is somebody else's and is left alone.

use super::AgentTag;
use crate::session_id::SessionId;

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) agent: String,
    /// None for shared roles.
    pub(super) session: Option<SessionId>,
}

pub(super) fn write(tag: &AgentTag, session: Option<&SessionId>, created: u64) -> String {
    let session = session.map_or("-", SessionId::as_str);
    format!("daam agent={} session={session} created={created}", tag.label())
}

pub(super) fn read(comment: &str) -> Option<Label> {
    let rest = comment.strip_prefix("daam agent=")?;
    let (rest, created) = rest.rsplit_once(" created=")?;
    created.parse::<u64>().ok()?;
    let (agent, session) = rest.rsplit_once(" session=")?;
    let session = match session {
        "-" => None,
        id => Some(SessionId::parse(id)?),
    };
    Some(Label { agent: agent.to_owned(), session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reads_back() {
        let tag = AgentTag::new("agent one", "shop");
        let session = SessionId::fresh();
        let text = write(&tag, Some(&session), 17);
        assert_eq!(read(&text), Some(Label { agent: tag.label().to_owned(), session: Some(session) }));
        assert_eq!(read(&write(&tag, None, 17)).map(|label| label.session), Some(None));
    }

    #[test]
    fn foreign_comments_are_not_ours() {
        for text in [
            "",
            "reporting role",
            "daam agent=a",
            "daam agent=a session=x created=1",
            "daam agent=a session=- created=soon",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
