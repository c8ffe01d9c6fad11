//! Access requests as people and programs see them, and how a table that is asked for is written.

use crate::link::{AccessAsked, AskedRelation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Asks for access.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccessRequest {
    /// The database.
    pub database: String,
    /// For what.
    pub what: AccessAsked,
    /// For how many seconds.
    pub seconds: u64,
    /// When it is to begin, RFC 3339; absent = once it is approved.
    pub starts_at: Option<String>,
    /// Why; may be empty where none is required.
    #[serde(default)]
    pub reason: String,
}

/// A word about a request: an approval, a denial, an early end.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessWord {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Asks for more time.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessExtension {
    /// How many seconds more.
    #[serde(default)]
    pub seconds: u64,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A request as listed.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Its id.
    pub id: String,
    /// The database.
    pub database: String,
    /// Who asked, by e-mail.
    pub requester: String,
    /// The policy, or the ceiling of what is asked for ad hoc.
    pub name: String,
    /// For what.
    pub what: AccessAsked,
    /// Why.
    pub reason: String,
    /// For how many seconds.
    pub seconds: u64,
    /// `pending`, `approved`, `active`, `expired`, `denied`, `revoked` or `refused` (by the agent).
    pub state: String,
    /// What there is to say about the state.
    pub note: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// When it begins or began, RFC 3339; absent while that is open.
    pub starts_at: Option<String>,
    /// When it ends or ended, RFC 3339; absent while that is open.
    pub ends_at: Option<String>,
    /// More time that is asked for.
    pub extension: Option<PendingExtension>,
    /// What is needed for a decision; absent when nothing is to be decided.
    pub needed: Option<Needed>,
    /// What was done with it, in order.
    pub history: Vec<AccessEvent>,
    /// What each agent made of it.
    pub agents: Vec<AgentReport>,
    /// What the caller can do with it now: `approve`, `deny`, `extend`, `end`.
    pub can: BTreeSet<String>,
}

/// More time that is asked for and not decided.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct PendingExtension {
    /// The end it would have, RFC 3339.
    pub ends_at: String,
    /// Why.
    pub reason: String,
}

/// What a decision needs.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Needed {
    /// How many approvals.
    pub approvals: u32,
    /// How many there are.
    pub given: u32,
    /// Whose: members of any of these groups, never who asked.
    pub groups: BTreeSet<String>,
}

/// Something that was done with a request.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AccessEvent {
    /// `approve`, `deny`, `extend` or `end`.
    pub act: String,
    /// By whom.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// RFC 3339.
    pub at: String,
}

/// What an agent made of a request.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct AgentReport {
    /// The agent's name.
    pub agent: String,
    /// `waiting`, `active`, `ended` or `refused`.
    pub state: String,
    /// Why it waits or was refused.
    pub reason: Option<String>,
    /// RFC 3339.
    pub at: String,
}

/// Something the caller may ask for.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Requestable {
    /// `policy` or `ceiling`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// For readers.
    pub description: String,
    /// What it gives, or the most that can be asked for within it: one line each.
    pub gives: Vec<String>,
    /// Longest time, in seconds.
    pub max_seconds: u64,
    /// Whether a reason must be given.
    pub reason_required: bool,
    /// How many approvals it needs.
    pub approvals: u32,
    /// Whose.
    pub approvers: BTreeSet<String>,
}

/// A new webhook.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// What it is for.
    pub name: String,
    /// Where to post to: `https` at a public address.
    pub url: String,
}

/// The answer to [`NewWebhook`].
#[derive(Clone, JsonSchema, Serialize, Deserialize)]
pub struct WebhookCreated {
    /// Id, for removing it.
    pub id: String,
    /// What deliveries are signed with, in the form of Standard Webhooks; shown once.
    pub secret: String,
}

/// A webhook as listed.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Webhook {
    /// Id, for removing it.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Where deliveries go.
    pub url: String,
    /// Deliveries that wait for another attempt or were given up within the last week.
    pub undelivered: u64,
    /// Why the last of those failed.
    pub failure: Option<String>,
}

/// Why a text is not a table that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not something to ask for; write `schema.table:select`, several verbs with commas between, columns as `update(phone,note)`"
)]
pub struct NotAsked(String);

impl AskedRelation {
    /// Reads `schema.table:verb,verb(column,column)`; `select` if no verb is named. Names fold to lower case unless they
    /// are in double quotes.
    pub fn parse(text: &str) -> Result<Self, NotAsked> {
        let wrong = || NotAsked(text.chars().take(200).flat_map(char::escape_default).collect());
        let (relation, verbs) = text.split_once(':').unwrap_or((text, "select"));
        let (schema, name) = relation.split_once('.').ok_or_else(wrong)?;
        let mut asked = Self {
            schema: identifier(schema).ok_or_else(wrong)?,
            name: identifier(name).ok_or_else(wrong)?,
            verbs: BTreeSet::new(),
            columns: BTreeMap::new(),
            masks: BTreeMap::new(),
            rows: Vec::new(),
        };
        for item in outside_brackets(verbs) {
            let (verb, columns) = match item.split_once('(') {
                None => (item, None),
                Some((verb, rest)) => (verb, Some(rest.strip_suffix(')').ok_or_else(wrong)?)),
            };
            let verb = verb.trim().to_ascii_lowercase();
            if verb.is_empty() || !verb.bytes().all(|byte| byte.is_ascii_lowercase()) {
                return Err(wrong());
            }
            if let Some(columns) = columns {
                let names = columns.split(',').map(identifier).collect::<Option<_>>().ok_or_else(wrong)?;
                asked.columns.insert(verb.clone(), names);
            }
            if !asked.verbs.insert(verb) {
                return Err(wrong());
            }
        }
        Ok(asked)
    }

    /// As [`Self::parse`] reads it, with masks and conditions in words behind.
    pub fn words(&self) -> String {
        let verbs: Vec<String> = self
            .verbs
            .iter()
            .map(|verb| match self.columns.get(verb) {
                None => verb.clone(),
                Some(names) => {
                    format!("{verb}({})", names.iter().map(String::as_str).collect::<Vec<_>>().join(","))
                }
            })
            .collect();
        let mut text = format!("{}.{}:{}", self.schema, self.name, verbs.join(","));
        for (column, mask) in &self.masks {
            let mask = mask.as_str().map_or_else(|| mask.to_string(), str::to_owned);
            let _ = write!(text, " {column} masked as {mask}");
        }
        for rows in &self.rows {
            let values = rows.any_of.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let _ = write!(text, " where {} is one of {values}", rows.column);
        }
        text
    }
}

/// A name of PostgreSQL's as people write it. What it may be made of is the agent's to say.
fn identifier(text: &str) -> Option<String> {
    let text = text.trim();
    let name = match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?.to_owned(),
        None => text.to_ascii_lowercase(),
    };
    let usable = !name.is_empty() && !name.contains(['"', '.', '(', ')', ':', '\0']);
    usable.then_some(name)
}

/// The parts between commas that are not inside brackets.
fn outside_brackets(text: &str) -> Vec<&str> {
    let mut open = false;
    text.split(|c| {
        match c {
            '(' => open = true,
            ')' => open = false,
            _ => {}
        }
        c == ',' && !open
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_asked_for_in_one_line() {
        let asked = AskedRelation::parse("Public.orders:select,update(status, Note)").unwrap();
        assert_eq!((asked.schema.as_str(), asked.name.as_str()), ("public", "orders"));
        assert_eq!(asked.words(), "public.orders:select,update(note,status)");
        assert_eq!(AskedRelation::parse("public.orders").unwrap().words(), "public.orders:select");
        assert_eq!(AskedRelation::parse("public.\"Orders\"").unwrap().name, "Orders");
        for bad in [
            "orders",
            "public.",
            ".x",
            "a.b.c",
            "a.b:",
            "a.b:select,select",
            "a.b:update(x",
            "a.b:update()",
            "a.b:dr op",
        ] {
            assert!(AskedRelation::parse(bad).is_err(), "{bad}");
        }
    }
}
