//! Which names a pattern covers, without trying it on every name there is.
//!
//! The index only narrows down: by what a matching name has to begin with. Whether a name is covered is decided by
//! [`RelationPattern`] alone, so there is one matcher, and an index can make an answer faster but never another.

use crate::catalog::Catalog;
use crate::name::Identifier;
use crate::pattern::RelationPattern;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Schema-qualified names, by what they begin with.
#[derive(Debug)]
pub struct NameIndex {
    /// Folded schema → folded names, sorted.
    schemas: BTreeMap<String, Vec<Entry>>,
    tried: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    folded: String,
    /// Its place in the order names were given in.
    position: usize,
    schema: Identifier,
    name: Identifier,
}

impl NameIndex {
    /// The relations of a catalogue, in its order.
    pub fn relations(catalog: &Catalog) -> Self {
        Self::of(catalog.relations.values().map(|found| (&found.name.schema, &found.name.name)))
    }

    /// The functions of a catalogue, in its order.
    pub fn functions(catalog: &Catalog) -> Self {
        Self::of(catalog.functions.values().map(|found| (&found.name.schema, &found.name.name)))
    }

    /// Names with their schemas.
    pub fn of<'a>(names: impl Iterator<Item = (&'a Identifier, &'a Identifier)>) -> Self {
        let mut schemas: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for (position, (schema, name)) in names.enumerate() {
            let folded_name = folded(name.as_str());
            let entry = Entry { folded: folded_name, position, schema: schema.clone(), name: name.clone() };
            match schemas.get_mut(schema.as_str()) {
                Some(entries) => entries.push(entry),
                None => schemas.entry(folded(schema.as_str())).or_default().push(entry),
            }
        }
        for entries in schemas.values_mut() {
            entries.sort_by(|a, b| a.folded.cmp(&b.folded));
        }
        Self { schemas, tried: AtomicUsize::new(0) }
    }

    /// The places of what the pattern covers, in the order names were given in.
    pub fn places(&self, pattern: &RelationPattern) -> Vec<usize> {
        let (schema, name) = pattern.beginnings();
        let mut tried = 0;
        let mut found: Vec<usize> = Vec::new();
        let near = self.schemas.range::<str, _>((Bound::Included(schema.text.as_str()), Bound::Unbounded));
        for (_, entries) in near.take_while(|(folded, _)| schema.begins(folded)) {
            let from = entries.partition_point(|entry| entry.folded < name.text);
            let near = entries.get(from..).unwrap_or_default().iter();
            for entry in near.take_while(|entry| name.begins(&entry.folded)) {
                tried += 1;
                if pattern.matches_parts(&entry.schema, &entry.name) {
                    found.push(entry.position);
                }
            }
        }
        self.tried.fetch_add(tried, Ordering::Relaxed);
        found.sort_unstable();
        found
    }

    /// How many names patterns have been tried on so far: what the work grows with.
    pub fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }
}

/// What a matching name begins with, folded; with `whole`, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) text: String,
    pub(crate) whole: bool,
}

impl Beginning {
    fn begins(&self, folded: &str) -> bool {
        if self.whole { folded == self.text } else { folded.starts_with(&self.text) }
    }
}

fn folded(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RelationName;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = Vec<RelationName>> {
        let segment = || prop_oneof!["[abAB_.]{1,4}", "[a-b]{1,2}", Just("pg_x".to_owned())];
        prop::collection::vec((segment(), segment()), 0..40).prop_map(|pairs| {
            pairs.into_iter().filter_map(|(schema, name)| RelationName::stored(schema, name).ok()).collect()
        })
    }

    fn patterns() -> impl Strategy<Value = Vec<RelationPattern>> {
        let segment = || prop_oneof!["[abAB*_]{1,4}", "\"[abAB_.]{1,3}\""];
        let written = (segment(), segment()).prop_map(|(schema, name)| format!("{schema}.{name}"));
        prop::collection::vec(written, 1..20)
            .prop_map(|texts| texts.iter().filter_map(|text| RelationPattern::parse(text).ok()).collect())
    }

    proptest! {
        #[test]
        fn the_index_finds_what_trying_every_name_finds(names in names(), patterns in patterns()) {
            let index = NameIndex::of(names.iter().map(|name| (&name.schema, &name.name)));
            for pattern in &patterns {
                let tried = names.iter().enumerate().filter(|(_, name)| pattern.matches(name));
                let tried: Vec<usize> = tried.map(|(place, _)| place).collect();
                prop_assert_eq!(index.places(pattern), tried);
            }
        }
    }

    #[test]
    fn a_name_without_wildcards_is_tried_on_its_namesakes_only() {
        let names: Vec<RelationName> = (0..1000)
            .map(|number| RelationName::stored(format!("s{}", number % 10), format!("t{number}")).unwrap())
            .collect();
        let index = NameIndex::of(names.iter().map(|name| (&name.schema, &name.name)));
        assert_eq!(index.places(&RelationPattern::parse("s1.t1").unwrap()).len(), 1);
        assert_eq!(index.tried(), 1);
        assert_eq!(index.places(&RelationPattern::parse("s1.t1*").unwrap()).len(), 12);
        assert_eq!(index.tried(), 1 + 12);
    }
}
