//! What is logged is one line each, whatever strangers put into it: the words of an identity provider, of an agent, of a
//! request neither begin a line of their own nor reach a terminal as orders.
//!
//! How much is logged, `DAAM_LOG` says to every program alike. Refused: a filter that cannot be read.

use crate::shown;
use std::ffi::OsString;
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;

/// `DAAM_LOG` is not understood.
#[derive(Debug, thiserror::Error)]
#[error("`DAAM_LOG` is not a log filter such as `info` or `daam_agent=debug`")]
pub struct BadFilter;

/// Logs to standard error from here on, as `asked` (what `DAAM_LOG` says, if it is set) or else at the level `usual`;
/// standard output belongs to the commands' results.
///
/// # Errors
///
/// `asked` is not understood.
pub fn start(asked: Option<OsString>, usual: &str) -> Result<(), BadFilter> {
    let filter = filter(asked, usual).ok_or(BadFilter)?;
    let errors = || Lines(io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(errors).with_ansi(false).init();
    Ok(())
}

fn filter(asked: Option<OsString>, usual: &str) -> Option<EnvFilter> {
    match asked {
        None => Some(EnvFilter::new(usual)),
        Some(text) => EnvFilter::try_new(text.to_str()?).ok(),
    }
}

/// Writes whole entries.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        self.0.write_all(format!("{}{end}", shown::word(line)).as_bytes())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn of_bytes(bytes: &[u8]) -> OsString {
        OsString::from_vec(bytes.to_vec())
    }

    #[test]
    fn how_much_is_logged_is_understood_or_refused() {
        let shown =
            |asked: Option<&[u8]>| filter(asked.map(of_bytes), "info").map(|filter| filter.to_string());
        assert_eq!(shown(None).as_deref(), Some("info"));
        assert_eq!(shown(Some(b"daam_agent=debug")).as_deref(), Some("daam_agent=debug"));
        assert_eq!(shown(Some(b"daam_agent=loud")), None);
        assert_eq!(shown(Some(b"\xff")), None);
    }

    #[test]
    fn what_strangers_say_writes_no_line_of_its_own() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || Lines(writer.clone())).finish();
        tracing::subscriber::with_default(log, || {
            let said = "no\n2026-01-01T00:00:00Z  INFO admin signed in\u{1b}[31m\u{9b}2J";
            tracing::warn!(error = %said, "a provider said no");
            tracing::warn!("and another");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}') && text.contains("\\u001b"), "{text}");
    }
}
