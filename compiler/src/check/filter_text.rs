//! Row filters as trees, each text read once.
//!
//! Many policies of a project filter by the same condition, and reading one is by far the most expensive part of
//! checking a policy. What a text means depends on nothing but the text, so remembering changes no finding.

use crate::parallel;
use daam_sql::Filter;
use daam_sql::filter::FilterError;
use daam_sql::with_room;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

type Read = Result<Arc<Filter>, FilterError>;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    known: HashMap<String, Read>,
    parsed: usize,
}

impl Filters {
    /// Reads those of the texts that are not known yet.
    pub(crate) fn learn<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let fresh = texts.filter(|text| !self.known.contains_key(*text));
        let fresh: BTreeSet<&str> = fresh.collect();
        let fresh: Vec<&str> = fresh.into_iter().collect();
        let read = parallel::chunks(&fresh, parallel::threads(), |part| {
            let read = || part.iter().map(|text| Filter::parse(text)).collect::<Vec<_>>();
            with_room(read).unwrap_or_else(read)
        });
        self.parsed += fresh.len();
        let read = fresh.iter().zip(read);
        self.known.extend(read.map(|(text, read)| ((*text).to_owned(), read.map(Arc::new))));
    }

    /// How many texts are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets all texts but these.
    pub(crate) fn forget_others<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let wanted: HashSet<&str> = texts.collect();
        self.known.retain(|text, _| wanted.contains(text.as_str()));
    }

    /// The filter of that text.
    pub(crate) fn read(&self, text: &str) -> Read {
        self.known.get(text).cloned().unwrap_or_else(|| Filter::parse(text).map(Arc::new))
    }

    /// How many texts were parsed so far.
    pub(crate) fn parsed(&self) -> usize {
        self.parsed
    }
}
