//! Statements that may be sent, remembered by their text.
//!
//! An answer holds for one plan and one search path; when either changes, everything is forgotten.

use daam_catalog::{Catalog, Identifier};
use daam_enforce::{Refusal, RewriteContext, Rewritten, SessionPlan, rewrite};
use daam_pgwire::{Report, sqlstate};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::RuntimeFlavor;

/// How many texts are remembered, and how long one may be.
const ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);
const LONGEST: usize = 16 * 1024;
/// Texts that take a noticeable time to read.
const LONG: usize = 64 * 1024;

/// A text and what to send in its place.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) original: String,
    pub(super) rewritten: Rewritten,
    /// Which plan it was checked against.
    pub(super) generation: u64,
    /// Masked columns it names, for the audit.
    pub(super) masked: Vec<String>,
    /// It may change how much the client wants to be told.
    pub(super) sets_told: bool,
    /// The text without its literals, once somebody asked.
    normal: OnceLock<String>,
}

impl Checked {
    /// The text without its literals; `make` makes it the first time.
    pub(super) fn normal(&self, make: impl FnOnce(&[u8]) -> String) -> String {
        self.normal.get_or_init(|| make(self.original.as_bytes())).clone()
    }

    /// Where an error position of the server is in what the client wrote.
    pub(super) fn original_position(&self, position: usize) -> usize {
        self.rewritten.edits.original_position(position, &self.rewritten.sql, &self.original)
    }
}

/// Checks texts, remembering the answers.
#[derive(Debug)]
pub(super) struct Checker {
    known: LruCache<String, Arc<Checked>>,
    generation: u64,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { known: LruCache::new(ENTRIES), generation: 0 }
    }

    /// Another plan, catalogue or search path: earlier answers do not hold.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Another plan: prepared statements must be checked again, too.
    pub(super) fn next_generation(&mut self) {
        self.forget();
        self.generation = self.generation.wrapping_add(1);
    }

    pub(super) fn is_current(&self, checked: &Checked) -> bool {
        checked.generation == self.generation
    }

    /// What to send for `text`, or why not.
    pub(super) fn check(&mut self, text: &[u8], rules: &Rules<'_>) -> Result<Arc<Checked>, Box<Report>> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let text = format!("the statement is not valid UTF-8 from byte {} on", error.valid_up_to());
            let report = Report::error(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, &text);
            Box::new(report.hint("set client_encoding to UTF8".to_owned()))
        })?;
        if let Some(known) = self.known.get(text) {
            return Ok(Arc::clone(known));
        }
        super::settings::refuse_statement(text)?;
        let context =
            RewriteContext { plan: rules.plan, catalog: rules.catalog, search_path: rules.search_path };
        let read = undisturbed(text, || {
            let rewritten = rewrite(text, &context)?;
            let masked = daam_enforce::masked_columns(text, rules.plan, &rewritten.activate);
            Ok((rewritten, masked))
        });
        let (rewritten, masked) = read.map_err(|refusal| Box::new(report(&refusal)))?;
        let checked = Arc::new(Checked {
            original: text.to_owned(),
            rewritten,
            generation: self.generation,
            sets_told: super::settings::contains_ignoring_case(text.as_bytes(), super::path::TOLD.as_bytes()),
            masked: masked.iter().map(|(table, column)| format!("{table}.{column}")).collect(),
            normal: OnceLock::new(),
        });
        if text.len() <= LONGEST {
            self.known.put(text.to_owned(), Arc::clone(&checked));
        }
        Ok(checked)
    }
}

/// Runs something that reads a text. A long one takes long, and a lot of memory: one at a time, and not on a thread that
/// other sessions wait for.
fn undisturbed<R>(text: &str, read: impl FnOnce() -> R) -> R {
    static ONE: Mutex<()> = Mutex::new(());
    if text.len() < LONG {
        return read();
    }
    let alone = || {
        let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let result = read();
        drop(turn);
        result
    };
    let runtime = tokio::runtime::Handle::try_current();
    match runtime.map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(alone),
        _ => alone(),
    }
}

/// What texts are checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) plan: &'a SessionPlan,
    pub(super) catalog: &'a Catalog,
    pub(super) search_path: &'a [Identifier],
}

/// A refusal as the error the client gets.
pub(super) fn report(refusal: &Refusal) -> Report {
    Report::error(refusal.sqlstate, &refusal.message)
        .detail(refusal.detail.clone())
        .hint(refusal.hint.clone())
        .position(refusal.position)
}
