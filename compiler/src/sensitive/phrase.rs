//! Words → what they say: phrases, the places some of them need, and the words that turn a name into another thing.
//!
//! The last word of a name is what the column is: `email_count` is a count, `email_token` a token. So the phrase
//! that ends last decides, and it decides nothing if a word after it turns the name into something else.

mod list;

use super::class::{Certainty, Class};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Where a phrase means what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// In every table; as the place of a table: nothing is known about it.
    Anywhere,
    /// In tables about people.
    People,
    /// In tables of addresses or about people.
    Addresses,
}

impl Place {
    /// What kind of table the words name: `users` is about people, `user_roles` is not.
    pub(super) fn of(table: &[String]) -> Self {
        let mut rest = table;
        while let Some((last, before)) = rest.split_last() {
            if INDEX.people.contains(last.as_str()) {
                return Self::People;
            }
            if INDEX.addresses.contains(last.as_str()) {
                return Self::Addresses;
            }
            if !INDEX.still_the_same.contains(last.as_str()) {
                return Self::Anywhere;
            }
            rest = before;
        }
        Self::Anywhere
    }

    /// Whether a table that is this suffices for a phrase that needs that.
    fn suffices(self, needed: Self) -> bool {
        match needed {
            Self::Anywhere => true,
            Self::People => self == Self::People,
            Self::Addresses => self != Self::Anywhere,
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) class: Class,
    pub(super) certainty: Certainty,
    /// What the phrase needed.
    pub(super) place: Place,
    pub(super) phrase: String,
}

struct Phrase {
    class: Class,
    certainty: Certainty,
    place: Place,
    words: Vec<&'static str>,
}

type Words = BTreeSet<&'static str>;

struct Index {
    by_first: BTreeMap<&'static str, Vec<Phrase>>,
    people: Words,
    addresses: Words,
    still_the_same: Words,
    turns: Words,
    qualifies: Words,
    asks: Words,
    /// All words of all lists.
    known: Words,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut by_first: BTreeMap<&'static str, Vec<Phrase>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (class, place, certainty, phrases) in list::PHRASES {
        for text in phrases.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let words: Vec<&'static str> = text.split(' ').collect();
            known.extend(words.iter().copied());
            let Some(first) = words.first().copied() else { continue };
            let phrase = Phrase { class: *class, certainty: *certainty, place: *place, words };
            by_first.entry(first).or_default().push(phrase);
        }
    }
    let set = |text: &'static str| -> Words { text.split_whitespace().collect() };
    let lists =
        [list::PEOPLE, list::ADDRESSES, list::STILL_THE_SAME, list::TURNS, list::QUALIFIES, list::KNOWN];
    known.extend(lists.into_iter().flat_map(str::split_whitespace));
    Index {
        by_first,
        people: set(list::PEOPLE),
        addresses: set(list::ADDRESSES),
        still_the_same: set(list::STILL_THE_SAME),
        turns: set(list::TURNS),
        qualifies: set(list::QUALIFIES),
        asks: set(list::ASKS),
        known,
    }
});

/// Whether runs may be taken apart at this word.
pub(super) fn is_known(word: &str) -> bool {
    INDEX.known.contains(word)
}

/// The phrase that decides what the words name, in a table of that kind.
pub(super) fn find(words: &[String], table: Place, typed: impl Fn(&Found) -> bool) -> Option<Found> {
    let mut best: Option<(usize, usize, Found)> = None;
    for start in 0..words.len() {
        let Some(rest) = words.get(start..) else { continue };
        let earlier = words.get(..start).unwrap_or_default();
        for (length, found) in at(rest, earlier, table) {
            let end = start + length;
            // Of two that end together the longer one knows more: `ip address`, not `address`.
            let better = best.as_ref().is_none_or(|(last, longest, _)| (end, length) > (*last, *longest));
            if better {
                best = Some((end, length, found));
            }
        }
    }
    let (end, _, found) = best?;
    let turned = words.get(end..)?.iter().any(|word| INDEX.turns.contains(word.as_str()));
    let asks = words.first().is_some_and(|word| INDEX.asks.contains(word.as_str()));
    // `Personal` marks names that only look like something, see the list.
    let means = found.class != Class::Personal && !turned && !asks;
    (means && typed(&found)).then_some(found)
}

fn at<'a>(
    rest: &'a [String],
    earlier: &'a [String],
    table: Place,
) -> impl Iterator<Item = (usize, Found)> + 'a {
    let phrases = rest.first().and_then(|first| INDEX.by_first.get(first.as_str())).into_iter().flatten();
    let people = earlier.iter().any(|word| INDEX.qualifies.contains(word.as_str()));
    phrases.filter_map(move |phrase| {
        let same = |(word, written): (&&str, &String)| *word == written.as_str();
        let matches = phrase.words.len() <= rest.len() && phrase.words.iter().zip(rest).all(same);
        let placed = people || table.suffices(phrase.place);
        (matches && placed).then(|| {
            let found = Found {
                class: phrase.class,
                certainty: phrase.certainty,
                place: if people { Place::Anywhere } else { phrase.place },
                phrase: phrase.words.join(" "),
            };
            (phrase.words.len(), found)
        })
    })
}
