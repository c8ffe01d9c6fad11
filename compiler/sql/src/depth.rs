//! How deep the tree of a text can be, judged by its tokens: before the parser builds it and anybody climbs it.
//!
//! The parser gives its tree in one piece, and reading that takes stack for every level. So a text that could be deeper
//! than there is stack for is refused unread. The bound is never too low and rather too high: every sign and keyword
//! of an element counts as a level of its own, where elements are what commas, `AND`, `OR` and the words of a `CASE`
//! separate, and every bracket adds what it holds. Long lists, long `IN`s and long `OR`s are therefore shallow, as they
//! are in the tree.

use crate::token::{self, Token};

/// Levels of the tree that are read.
pub(crate) const MOST: usize = 6_000;
/// A text cannot have more levels than this many for each of two bytes (`a[a[a[…`: four in three bytes).
const LEVELS_IN_TWO_BYTES: usize = 3;
/// Levels of the tree for one sign: the operator and the wrapper of its operand.
const OF_A_SIGN: usize = 2;
/// Levels of a bracket, or of a statement: a select in brackets is the deepest of them.
const OF_A_BRACKET: usize = 16;

/// Whether the tree of a text has no more levels than are read. A text that cannot even be split has none.
pub(crate) fn fits(text: &str) -> bool {
    most_by_length(text.len()) <= MOST || bound(text).is_none_or(|bound| bound <= MOST)
}

/// The most levels that a text of so many bytes can have.
pub(crate) fn most_by_length(bytes: usize) -> usize {
    bytes.saturating_mul(LEVELS_IN_TWO_BYTES).div_ceil(2).saturating_add(OF_A_BRACKET)
}

fn bound(text: &str) -> Option<usize> {
    let tokens = token::scan(text).ok()?;
    let mut open = vec![Bracket::default()];
    let mut deepest = 0;
    for token in tokens.iter().filter(|token| !token.is_comment()) {
        let Some(bracket) = open.last_mut() else { break };
        match Sign::of(token, text) {
            Sign::Value => {}
            Sign::Opens => open.push(Bracket::default()),
            Sign::Closes => {
                let depth = bracket.depth();
                if open.len() > 1 {
                    open.pop();
                }
                if let Some(outer) = open.last_mut() {
                    outer.inside = outer.inside.max(depth);
                }
            }
            Sign::Ends => {
                deepest = deepest.max(bracket.depth());
                if open.len() == 1 {
                    open = vec![Bracket::default()];
                }
            }
            Sign::And if bracket.between > 0 => bracket.between = bracket.between.saturating_sub(1),
            Sign::And | Sign::Separates => bracket.next_element(),
            Sign::Between => {
                bracket.between = bracket.between.saturating_add(1);
                bracket.signs = bracket.signs.saturating_add(2);
            }
            Sign::Joins => {
                bracket.joins = bracket.joins.saturating_add(1);
                bracket.next_element();
            }
            Sign::Other => bracket.signs = bracket.signs.saturating_add(1),
        }
    }
    // What is left open is refused by the parser.
    open.iter().map(Bracket::depth).chain([deepest]).reduce(usize::saturating_add)
}

/// What is between two brackets, so far.
#[derive(Debug, Default)]
struct Bracket {
    /// Of the element that is being read: its signs, `BETWEEN`s without their `AND`, and the deepest bracket.
    signs: usize,
    between: usize,
    inside: usize,
    /// Of all of them.
    joins: usize,
    deepest: usize,
}

impl Bracket {
    fn next_element(&mut self) {
        let depth = self.signs.saturating_mul(OF_A_SIGN).saturating_add(self.inside);
        self.deepest = self.deepest.max(depth);
        (self.signs, self.between, self.inside) = (0, 0, 0);
    }

    fn depth(&self) -> usize {
        let element = self.signs.saturating_mul(OF_A_SIGN).saturating_add(self.inside);
        let joins = self.joins.saturating_mul(OF_A_SIGN);
        self.deepest.max(element).saturating_add(joins).saturating_add(OF_A_BRACKET)
    }
}

/// What a token means for the depth.
enum Sign {
    Value,
    Opens,
    Closes,
    Ends,
    Separates,
    And,
    Between,
    /// Holds however many elements follow.
    Joins,
    Other,
}

impl Sign {
    fn of(token: Token, text: &str) -> Self {
        if token.is_literal() || token.is_name() {
            return Self::Value;
        }
        let text = token.text(text);
        match text.as_bytes() {
            b"(" | b"[" => return Self::Opens,
            b")" | b"]" => return Self::Closes,
            b"," => return Self::Separates,
            b";" => return Self::Ends,
            b"." | [b'$', ..] => return Self::Value,
            _ => {}
        }
        match text.to_ascii_lowercase().as_str() {
            "case" => Self::Opens,
            "end" => Self::Closes,
            "or" | "when" | "then" | "else" => Self::Separates,
            "and" => Self::And,
            "between" => Self::Between,
            "join" | "union" | "intersect" | "except" => Self::Joins,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(link: &str, times: usize) -> String {
        format!("SELECT 1{}", link.repeat(times))
    }

    #[test]
    fn long_lists_are_shallow_and_long_chains_are_deep() {
        for wide in [
            " OR a = 1",
            " AND NOT a",
            ", a + 1",
            ", (a, 2)",
            ", f(a)",
            "; SELECT a",
            " OR a BETWEEN 1 AND 2",
        ] {
            assert!(bound(&chain(wide, 20_000)).unwrap() < 100, "{wide}");
        }
        let cases = format!("SELECT CASE {} END", "WHEN a = 1 THEN 2 ".repeat(10_000));
        assert!(bound(&cases).unwrap() < 100);
        for deep in [" + 1", " || 'x'", " COLLATE \"C\"", "::text", " UNION SELECT 1"] {
            assert!(!fits(&chain(deep, 100_000)), "{deep}");
            assert!(fits(&chain(deep, 1_000)), "{deep}");
        }
        for (opens, closes) in
            [("(", ")"), ("NOT ", ""), ("f(", ")"), ("(select ", ")"), ("CASE WHEN ", " THEN 1 END")]
        {
            let nested = format!("SELECT {}1{}", opens.repeat(100_000), closes.repeat(100_000));
            assert!(!fits(&nested), "{opens}");
        }
        // The deep part stands before what seems to separate it from the rest.
        let hidden = format!("{} a BETWEEN 1 AND (", "NOT ".repeat(100)).repeat(100);
        assert!(bound(&format!("SELECT {hidden}1{}", ")".repeat(100))).unwrap() > 10_000);
        assert!(!fits(&format!("SELECT ({}){}", "1 + (".repeat(9_000), ")".repeat(9_000))));
    }

    /// Whatever nests, around something that nests.
    fn nested() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec!["1", "a", "'x'", "a.b", "$1", "NULL", "ARRAY[1, 2]"]);
        leaf.prop_map(str::to_owned).prop_recursive(24, 200, 4, |inner| {
            let more = (inner.clone(), inner.clone(), inner);
            (more, 0_usize..24, 1_usize..6).prop_map(|((a, b, c), shape, times)| match shape {
                0 => format!("{a} + {b}"),
                1 => format!("{a}{}", " || b".repeat(times * 7)),
                2 => format!("({a} OR {b} AND {c})"),
                3 => format!("{} ({a})", "NOT ".repeat(times)),
                4 => format!("(({a}) BETWEEN ({b}) AND ({c}))"),
                5 => format!("CASE WHEN {a} THEN {b} ELSE {c} END"),
                6 => format!("f({a}, {b})"),
                7 => format!("(SELECT {a} FROM t WHERE {b})"),
                8 => format!("({a}) IN ({b}, {c})"),
                9 => format!("({a})::int[]"),
                10 => format!("(a)[{a}:{b}]"),
                11 => format!("EXISTS (SELECT {a} FROM t JOIN u ON {b} JOIN v USING (x))"),
                12 => format!("(SELECT {a} UNION ALL SELECT {b} UNION SELECT {c})"),
                13 => format!("ROW({a}, {b})"),
                14 => format!("ARRAY[[{a}], [{b}]]"),
                15 => format!("({a}) IS DISTINCT FROM ({b})"),
                16 => format!("coalesce({a}, {b}, {c})"),
                17 => format!("(WITH w AS (SELECT {a}) SELECT {b} FROM w, LATERAL (SELECT {c}) x)"),
                18 => format!("sum({a}) FILTER (WHERE {b}) OVER (PARTITION BY {c} ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)"),
                19 => format!("({a}) LIKE ({b}) ESCAPE 'x'"),
                20 => format!("- - ({a})"),
                21 => format!("({a}) AT TIME ZONE ({b}) COLLATE \"C\""),
                22 => format!("({a} = ANY ({b}))"),
                _ => format!("xmlelement(name x, xmlattributes({a} AS y), {b})"),
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_tree_is_deeper_than_its_bound(text in nested()) {
            let sql = format!("SELECT {text}");
            if let Some(levels) = crate::tree::levels(&sql) {
                prop_assert!(levels <= bound(&sql).unwrap(), "{levels}: {sql}");
                prop_assert!(levels <= most_by_length(sql.len()), "{levels}: {sql}");
            }
        }
    }

    #[test]
    fn the_shortest_ways_down_are_within_the_bound_by_length() {
        for (opens, closes) in [
            ("a[", "]"),
            ("f(", ")"),
            ("- ", ""),
            ("1 IN(", ")"),
            ("ARRAY[", "]"),
            ("(SELECT ", ")"),
            ("(TABLE t UNION SELECT ", ")"),
            ("(VALUES(", "))"),
            ("row(", ")"),
            ("NOT ", ""),
        ] {
            let sql = format!("SELECT {}1{}", opens.repeat(200), closes.repeat(200));
            let levels = crate::tree::levels(&sql).unwrap_or_else(|| panic!("{opens}"));
            assert!(levels <= most_by_length(sql.len()), "{opens}: {levels} in {} bytes", sql.len());
            assert!(levels <= bound(&sql).unwrap(), "{opens}: {levels}");
        }
    }
}
