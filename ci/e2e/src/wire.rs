//! A protocol client that keeps everything: rows, notices, every field of every error, COPY data.
//!
//! Deliberately plain: it lets a test send any bytes and see any answer.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a single answer may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a conversation ended.
#[derive(Debug)]
pub enum WireError {
    /// The server refused: the fields of its ErrorResponse.
    Refused(Vec<(char, String)>),
    /// The connection closed or broke.
    Closed(io::Error),
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(fields) => {
                let text: Vec<String> = fields.iter().map(|(code, text)| format!("{code}={text}")).collect();
                write!(f, "refused: {}", text.join(" "))
            }
            Self::Closed(error) => write!(f, "connection closed: {error}"),
        }
    }
}

impl std::error::Error for WireError {}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

/// Everything one exchange brought back.
#[derive(Debug, Default, Clone)]
pub struct Answer {
    /// Column names of the last row description.
    pub columns: Vec<String>,
    /// Rows in text form; NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
    /// Command tags.
    pub tags: Vec<String>,
    /// Errors, field by field.
    pub errors: Vec<Vec<(char, String)>>,
    /// Notices, field by field.
    pub notices: Vec<Vec<(char, String)>>,
    /// COPY data, as sent.
    pub copied: Vec<String>,
    /// FunctionCall results.
    pub function_results: Vec<String>,
    /// Whether the connection closed.
    pub closed: bool,
}

impl Answer {
    /// Every text a person or program could read from this answer.
    pub fn texts(&self) -> Vec<&str> {
        let fields = self.errors.iter().chain(&self.notices).flatten().map(|(_, text)| text.as_str());
        let rows = self.rows.iter().flatten().flatten().map(String::as_str);
        let rest = self
            .columns
            .iter()
            .chain(&self.tags)
            .chain(&self.copied)
            .chain(&self.function_results)
            .map(String::as_str);
        fields.chain(rows).chain(rest).collect()
    }

    /// The SQLSTATE of the first error.
    pub fn sqlstate(&self) -> Option<&str> {
        self.errors.first()?.iter().find(|(code, _)| *code == 'C').map(|(_, text)| text.as_str())
    }

    /// The message of the first error.
    pub fn message(&self) -> Option<&str> {
        self.errors.first()?.iter().find(|(code, _)| *code == 'M').map(|(_, text)| text.as_str())
    }

    /// All rows as text, `|` between columns, one row a line, NULL as `∅`.
    pub fn table(&self) -> String {
        let row = |row: &Vec<Option<String>>| {
            row.iter().map(|value| value.as_deref().unwrap_or("∅")).collect::<Vec<_>>().join("|")
        };
        self.rows.iter().map(row).collect::<Vec<_>>().join("\n")
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// Process id and secret for cancel requests.
    pub cancel_key: Option<(i32, Vec<u8>)>,
    /// Start-up parameter statuses.
    pub parameters: Vec<(String, String)>,
}

impl Connection {
    /// Logs in over a Unix socket; expects no password to be asked.
    pub fn open(
        socket: &Path,
        user: &str,
        database: &str,
        extra: &[(String, String)],
    ) -> Result<Self, WireError> {
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        let own = [("user".to_owned(), user.to_owned()), ("database".to_owned(), database.to_owned())];
        for (name, value) in own.iter().chain(extra) {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        Self::start(socket, &body)
    }

    /// Logs in with the body of a start-up message as it is, whatever version or options it asks for.
    pub fn start(socket: &Path, startup: &[u8]) -> Result<Self, WireError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut connection = Self { stream, cancel_key: None, parameters: Vec::new() };
        connection.send_untyped(startup)?;
        loop {
            let (kind, body) = connection.read()?;
            match kind {
                b'E' => return Err(WireError::Refused(fields(&body))),
                b'Z' => return Ok(connection),
                b'K' => {
                    let pid =
                        body.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes)).unwrap_or_default();
                    connection.cancel_key = Some((pid, body.get(4..).unwrap_or_default().to_vec()));
                }
                b'S' => {
                    let mut parts = body.split(|byte| *byte == 0).map(lossy);
                    connection
                        .parameters
                        .push((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()));
                }
                _ => {}
            }
        }
    }

    /// Sends raw bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// A message without a type byte (start-up, cancel).
    pub fn send_untyped(&mut self, body: &[u8]) -> io::Result<()> {
        let mut message = length(body.len()).to_be_bytes().to_vec();
        message.extend_from_slice(body);
        self.stream.write_all(&message)
    }

    /// A typed message.
    pub fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let mut message = vec![kind];
        message.extend_from_slice(&length(body.len()).to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message)
    }

    /// Simple query.
    pub fn query(&mut self, sql: &str) -> Answer {
        self.query_bytes(sql.as_bytes())
    }

    /// Simple query with text of any encoding.
    pub fn query_bytes(&mut self, sql: &[u8]) -> Answer {
        let mut body = sql.to_vec();
        body.push(0);
        self.exchange(b'Q', &body)
    }

    /// Sends one message and collects until ReadyForQuery.
    pub fn exchange(&mut self, kind: u8, body: &[u8]) -> Answer {
        if self.send(kind, body).is_err() {
            return Answer { closed: true, ..self.collect() };
        }
        self.collect()
    }

    /// Parse, Bind, Describe, Execute, Sync with text parameters; `binary` asks for binary results.
    pub fn extended(&mut self, sql: &str, parameters: &[Option<&str>], binary: bool) -> Answer {
        let mut all = Vec::new();
        let mut push = |kind: u8, body: &[u8]| {
            all.push(kind);
            all.extend_from_slice(&length(body.len()).to_be_bytes());
            all.extend_from_slice(body);
        };
        push(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
        let mut bind = b"\0\0\0\0".to_vec();
        bind.extend_from_slice(&u16::try_from(parameters.len()).unwrap_or(0).to_be_bytes());
        for parameter in parameters {
            match parameter {
                None => bind.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(text) => {
                    bind.extend_from_slice(&i32::try_from(text.len()).unwrap_or(0).to_be_bytes());
                    bind.extend_from_slice(text.as_bytes());
                }
            }
        }
        bind.extend_from_slice(&[0, 1, 0, u8::from(binary)]);
        push(b'B', &bind);
        push(b'D', b"P\0");
        push(b'E', b"\0\0\0\0\0");
        push(b'S', b"");
        if self.send_raw(&all).is_err() {
            return Answer { closed: true, ..self.collect() };
        }
        self.collect()
    }

    /// Reads until ReadyForQuery or the end of the connection.
    pub fn collect(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let Ok((kind, body)) = self.read() else {
                answer.closed = true;
                return answer;
            };
            match kind {
                b'Z' => return answer,
                b'T' => answer.columns = column_names(&body),
                b'D' => answer.rows.push(data_row(&body)),
                b'C' => answer.tags.push(lossy(body.split(|byte| *byte == 0).next().unwrap_or_default())),
                b'E' => answer.errors.push(fields(&body)),
                b'N' => answer.notices.push(fields(&body)),
                b'd' => answer.copied.push(lossy(&body)),
                b'V' => answer.function_results.push(lossy(body.get(4..).unwrap_or_default())),
                b'G' if self.send(b'f', b"no data\0").is_err() => {
                    answer.closed = true;
                    return answer;
                }
                _ => {}
            }
        }
    }

    /// One message.
    pub fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0_u8; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, a, b, c, d] = head;
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).map_err(io::Error::other)?;
        let mut body = vec![0; length.saturating_sub(4)];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

fn length(body: usize) -> i32 {
    i32::try_from(body.saturating_add(4)).unwrap_or(i32::MAX)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fields(body: &[u8]) -> Vec<(char, String)> {
    body.split(|byte| *byte == 0)
        .filter_map(|part| Some((char::from(*part.first()?), lossy(part.get(1..)?))))
        .collect()
}

fn column_names(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(lossy(rest.get(..end).unwrap_or_default()));
        rest = rest.get(end.saturating_add(19)..).unwrap_or_default();
    }
    names
}

fn data_row(body: &[u8]) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => {
                values.push(None);
                rest = tail;
            }
            Ok(size) => {
                values.push(Some(lossy(tail.get(..size).unwrap_or_default())));
                rest = tail.get(size..).unwrap_or_default();
            }
        }
    }
    values
}
