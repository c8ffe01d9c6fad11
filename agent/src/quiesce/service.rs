//! The agent's side: a socket only its own user can use, one hold per connection.

use super::hold::{Hold, Holds, reached};
use super::wire::{Answer, Ask, LONGEST, Over};
use super::{SOCKET, look};
use crate::cause;
use crate::keeper::Keeper;
use crate::session_id::SessionId;
use crate::sessions::Registry;
use crate::upkeep::{self, Connected, Upkeep};
use crate::upstream::UpstreamConfig;
use daam_catalog::{Catalog, RelationName, RelationPattern};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often the database is asked whether the tables are free.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long sessions that are ended may take.
const ENDING: Duration = Duration::from_secs(10);
/// How long the schema may be unreadable after the migration before the command is told, and how often it is tried.
const READING: Duration = Duration::from_secs(5);
const READ_AGAIN: Duration = Duration::from_millis(250);
/// What a session that is ended for a migration is told.
const ENDED: &str = "the session was ended for a migration of a table it uses";

type Lines = BufReader<tokio::io::Take<OwnedReadHalf>>;

/// What holds are made of.
#[derive(Debug)]
pub struct Service {
    /// The holds.
    pub holds: Arc<Holds>,
    /// The desired state: which relations there are.
    pub keeper: Arc<Keeper>,
    /// Introspection, for after the migration.
    pub upkeep: Arc<Upkeep>,
    /// Live sessions.
    pub sessions: Arc<Registry>,
    /// The database.
    pub upstream: UpstreamConfig,
}

impl Service {
    /// Opens the socket in the state directory, in place of one that an earlier run left.
    pub fn bind(state_dir: &Path) -> io::Result<UnixListener> {
        let path = state_dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Answers until it is dropped; the holds of its connections end with it.
    pub async fn run(self, listener: UnixListener, state_dir: &Path) {
        let Ok(owner) = std::fs::metadata(state_dir.join(SOCKET)).map(|file| file.uid()) else {
            return tracing::error!("the control socket is gone; `quiesce` is not served");
        };
        let service = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) if is_ours(&stream, owner) => {
                    let service = Arc::clone(&service);
                    tasks.spawn(async move { service.serve(stream).await });
                }
                Ok(_) => tracing::warn!("a process of another user tried to use the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn serve(&self, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read.take(LONGEST));
        if let Err(error) = self.converse(&mut lines, &mut write).await {
            tracing::warn!(%error, "a conversation over the control socket broke");
        }
    }

    async fn converse(&self, lines: &mut Lines, write: &mut OwnedWriteHalf) -> io::Result<()> {
        let Some(line) = next_line(lines).await? else { return Ok(()) };
        let ask: Ask = serde_json::from_str(&line).map_err(io::Error::other)?;
        let tables = match named(&ask.tables, &self.keeper.current().catalog) {
            Ok(tables) => tables,
            Err(reason) => return say(write, &Answer::Refused { reason }).await,
        };
        let hold = self.holds.begin(tables.clone(), ask.patience);
        tracing::info!(tables = ?ask.tables, "sessions are held off tables");
        let freed = tokio::select! {
            freed = self.free(&hold, &tables, &ask) => freed,
            // The command is gone.
            _ = next_line(lines) => return Ok(()),
        };
        if let Err(reason) = freed {
            tracing::warn!(reason, "the tables did not become free");
            return say(write, &Answer::Refused { reason }).await;
        }
        say(write, &Answer::Held { tables: tables.iter().map(ToString::to_string).collect() }).await?;
        // A command that was killed says nothing; what it has changed until then counts all the same.
        let over = next_line(lines).await.unwrap_or(None);
        let wants_answer = over.is_some_and(|line| serde_json::from_str::<Over>(&line).is_ok());
        self.release(hold, &ask, wants_answer.then_some(write)).await
    }

    /// Lets sessions use the tables again once they know them as they are now. While the schema cannot be read, nobody
    /// can say what a column shows: the tables stay held, and the command is told.
    async fn release(&self, hold: Hold, ask: &Ask, mut write: Option<&mut OwnedWriteHalf>) -> io::Result<()> {
        let patience = Instant::now().checked_add(READING);
        while let Err(error) = self.upkeep.refresh().await {
            let reason = cause::chain(&error);
            tracing::warn!(error = reason, tables = ?ask.tables, "tables stay held: the schema cannot be read");
            let late = patience.is_none_or(|patience| Instant::now() >= patience);
            if let Some(write) = write.take_if(|_| late) {
                let told = say(write, &Answer::StillHeld { reason }).await;
                tracing::debug!(?told, "the command was told that its tables stay held");
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
        drop(hold);
        tracing::info!(tables = ?ask.tables, "sessions may use the tables again");
        match write {
            Some(write) => say(write, &Answer::Released).await,
            None => Ok(()),
        }
    }

    /// Waits until no session has anything of the tables, ending sessions if that is asked for.
    async fn free(&self, hold: &Hold, tables: &BTreeSet<RelationName>, ask: &Ask) -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| {
            format!("the database could not be asked who uses the tables: {}", cause::chain(error))
        };
        let connected = upkeep::connect(&self.upstream).await.map_err(|error| failed(&error))?;
        let deadline = Instant::now().checked_add(ask.wait);
        let left = self.left(hold, tables, &connected, deadline).await.map_err(|error| failed(&error))?;
        if left.is_empty() {
            return Ok(());
        }
        if !ask.end_sessions {
            return Err(self.reason(&left, ask.wait));
        }
        for session in &left {
            self.sessions.terminate(session, ENDED);
        }
        let deadline = Instant::now().checked_add(ENDING);
        let left = self.left(hold, tables, &connected, deadline).await.map_err(|error| failed(&error))?;
        if left.is_empty() { Ok(()) } else { Err(self.reason(&left, ENDING)) }
    }

    /// Sessions that have something of the tables when they are free or it is time.
    async fn left(
        &self,
        hold: &Hold,
        tables: &BTreeSet<RelationName>,
        connected: &Connected,
        deadline: Option<Instant>,
    ) -> Result<BTreeSet<SessionId>, tokio_postgres::Error> {
        loop {
            let mut left = hold.unsettled();
            if left.is_empty() {
                left = look::users(connected, tables).await?;
            }
            if left.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(left);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn reason(&self, left: &BTreeSet<SessionId>, waited: Duration) -> String {
        let mut users: BTreeSet<String> = self
            .sessions
            .list()
            .into_iter()
            .filter(|session| left.contains(&session.id))
            .map(|session| format!("`{}`", session.user.email))
            .collect();
        if users.is_empty() {
            users.insert("another agent".to_owned());
        }
        let users: Vec<String> = users.into_iter().collect();
        format!(
            "after {} the tables were still used in open transactions of {} session(s), of {}; wait longer with \
             `--wait`, or end those sessions with `--end-sessions`",
            crate::duration::words(waited),
            left.len(),
            users.join(", ")
        )
    }
}

/// The relations that are meant, with what a change of them reaches.
fn named(patterns: &[String], catalog: &Catalog) -> Result<BTreeSet<RelationName>, String> {
    let mut tables = BTreeSet::new();
    for text in patterns {
        let pattern = RelationPattern::parse(text).map_err(|error| error.to_string())?;
        let before = tables.len();
        tables.extend(catalog.relations.keys().filter(|name| pattern.matches(name)).cloned());
        let known = pattern.literal().is_some_and(|name| tables.contains(&name));
        if tables.len() == before && !known {
            let names = catalog.relations.keys().map(ToString::to_string).collect::<Vec<_>>();
            let hint = daam_diagnostic::suggest::did_you_mean(text, names.iter().map(String::as_str))
                .unwrap_or_else(|| "`daam-agent introspect` lists the relations".to_owned());
            return Err(format!("`{text}` is no relation in the agent's scope; {hint}"));
        }
    }
    Ok(reached(tables, catalog))
}

/// The agent's own user, and root.
fn is_ours(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0)
}

async fn next_line(lines: &mut Lines) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = lines.read_line(&mut line).await?;
    Ok((read > 0 && line.ends_with('\n')).then_some(line))
}

async fn say(write: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    write.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::{Identifier, Relation, RelationKind};

    #[test]
    fn a_name_that_is_no_relation_is_refused_with_the_likely_one() {
        let mut catalog = Catalog::default();
        for own in ["users", "orders"] {
            let name = RelationName::stored("public", own).unwrap();
            let owner = Identifier::stored("o").unwrap();
            catalog.relations.insert(name.clone(), Relation::new(name, RelationKind::Table, owner));
        }
        let ask = |text: &str| named(&[text.to_owned()], &catalog);
        assert!(ask("public.user").unwrap_err().contains("did you mean `public.users`"));
        assert!(ask("users").unwrap_err().contains("schema.table"));
        assert_eq!(ask("public.*").unwrap().len(), 2);
        assert_eq!(named(&["public.*".to_owned(), "public.users".to_owned()], &catalog).unwrap().len(), 2);
    }
}
