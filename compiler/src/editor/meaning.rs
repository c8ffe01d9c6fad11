//! What the word at a place names: which positions of which documents hold tables, columns, groups and so on.

use super::place::{Place, Step};

/// What a word names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A relation pattern.
    Relations,
    /// A column pattern.
    Columns,
    /// A function pattern.
    Functions,
    /// Columns of the relations in `on`, or of the relation whose expectations these are.
    ColumnsHere,
    /// A row filter over the relations in `on`.
    Filter,
    /// A group.
    Group,
    /// A database of the project.
    Database,
    /// A policy.
    Policy,
    /// A mask preset.
    Preset,
    /// Whatever the grammar says.
    Other,
}

/// What the word there names.
pub(crate) fn of(place: &Place) -> Meaning {
    let way: Vec<&str> = place
        .steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::Item => "[]",
        })
        .collect();
    match (place.kind.as_str(), place.is_key, way.as_slice()) {
        ("policy" | "test" | "scope" | "request-ceiling", false, ["database"]) => Meaning::Database,
        ("policy", false, ["grants", "[]", "on"] | ["grants", "[]", "on", "[]"])
        | ("scope", false, ["scope", "[]"])
        | ("test", true, ["cases", "[]", "expect"]) => Meaning::Relations,
        ("policy", false, ["masks", "[]", "on"] | ["masks", "[]", "on", "[]"])
        | ("test", false, ["cases", "[]", "who_can", ..]) => Meaning::Columns,
        ("policy", false, ["grants", "[]", "functions"] | ["grants", "[]", "functions", "[]"]) => {
            Meaning::Functions
        }
        ("policy", false, ["grants", "[]", "columns", _, "[]"])
        | ("test", true, ["cases", "[]", "expect", _, "columns"]) => Meaning::ColumnsHere,
        ("policy", false, ["grants", "[]", "rows" | "restrict"])
        | ("test", false, ["cases", "[]", "expect", _, "rows"]) => Meaning::Filter,
        ("policy", false, ["masks", "[]", "with"]) => Meaning::Preset,
        ("test", false, ["cases", "[]", "expect", _, "reason", "[]"]) => Meaning::Policy,
        (_, false, [.., "groups", "[]"]) => Meaning::Group,
        _ => Meaning::Other,
    }
}

/// The relations whose columns are meant at that place.
pub(crate) fn relations(place: &Place) -> Vec<String> {
    let expected = place.steps.windows(2).find_map(|pair| match pair {
        [Step::Key(key), Step::Key(relation)] if key == "expect" => Some(relation.clone()),
        _ => None,
    });
    expected.map_or_else(|| place.on.clone(), |relation| vec![relation])
}
