//! Literals made of literals: arrays, rows, ranges, multiranges.

use super::scan::{Scan, is_space, trimmed};
use super::{Bad, Facts, facts};
use crate::typing::kind::{Form, TypeId};
use crate::typing::universe::Universe;

/// How deep arrays nest.
const DIMENSIONS: usize = 6;

pub(super) fn array(universe: &Universe, text: &str, id: TypeId) -> Result<Facts, Bad> {
    let element = universe.element(id).unwrap_or(id);
    let bad = || Bad::new("22P02", format!("malformed array literal: \"{text}\""));
    let mut scan = Scan::new(text);
    scan.skip_space();
    let mut bounds = Vec::new();
    while scan.peek() == Some('[') {
        scan.next();
        let mut numbers = Vec::new();
        for part in scan.take_while(|c| c != ']').split(':') {
            numbers.push(part.parse::<i32>().map_err(|_| bad())?);
        }
        scan.next();
        let (low, high) = match numbers.as_slice() {
            [high] => (1, *high),
            [low, high] => (*low, *high),
            _ => return Err(bad()),
        };
        if high < low {
            return Err(Bad::new("2202E", "upper bound cannot be less than lower bound"));
        }
        bounds.push(usize::try_from(i64::from(high) - i64::from(low) + 1).unwrap_or(0));
        scan.skip_space();
    }
    if !bounds.is_empty() && !scan.take('=') {
        return Err(bad());
    }
    scan.skip_space();
    let delimiter = if universe.info(element).internal == "box" { ';' } else { ',' };
    let mut reader =
        Reader { universe, element, delimiter, facts: Facts::default(), sizes: Vec::new(), text };
    reader.list(&mut scan, 0)?;
    scan.skip_space();
    if !scan.is_done() {
        return Err(bad());
    }
    if !bounds.is_empty() {
        let sizes: Vec<usize> = reader.sizes.iter().map(|size| size.unwrap_or(0)).collect();
        if sizes != bounds {
            return Err(bad());
        }
    }
    Ok(reader.facts)
}

struct Reader<'a> {
    universe: &'a Universe,
    element: TypeId,
    delimiter: char,
    facts: Facts,
    /// Elements of the lists of each depth; all lists of a depth must agree.
    sizes: Vec<Option<usize>>,
    text: &'a str,
}

impl Reader<'_> {
    fn bad(&self) -> Bad {
        Bad::new("22P02", format!("malformed array literal: \"{}\"", self.text))
    }

    fn list(&mut self, scan: &mut Scan<'_>, depth: usize) -> Result<(), Bad> {
        if depth >= DIMENSIONS {
            return Err(Bad::new("54000", "number of array dimensions exceeds the maximum allowed (6)"));
        }
        if !scan.take('{') {
            return Err(self.bad());
        }
        if self.sizes.len() == depth {
            self.sizes.push(None);
        }
        let (mut count, mut lists) = (0_usize, 0_usize);
        scan.skip_space();
        let empty = scan.take('}');
        if empty && depth > 0 && self.universe.builtin().major < 17 {
            return Err(self.bad());
        }
        if !empty {
            loop {
                scan.skip_space();
                if scan.peek() == Some('{') {
                    self.list(scan, depth + 1)?;
                    lists += 1;
                } else {
                    self.item(scan)?;
                }
                count += 1;
                scan.skip_space();
                if scan.take('}') {
                    break;
                }
                if !scan.take(self.delimiter) {
                    return Err(self.bad());
                }
            }
        }
        let agreed = self.sizes.get_mut(depth).is_none_or(|size| *size.get_or_insert(count) == count);
        let deeper = self.sizes.len() > depth + 1;
        if !agreed || (lists > 0 && lists != count) || (deeper && lists == 0) {
            return Err(self.bad());
        }
        Ok(())
    }

    fn item(&mut self, scan: &mut Scan<'_>) -> Result<(), Bad> {
        let (mut value, mut quoted, mut any) = (String::new(), false, false);
        let mut kept = 0;
        loop {
            match scan.peek() {
                None | Some('{') => return Err(self.bad()),
                Some('"') => {
                    // A quoted element is nothing but its quotes.
                    if quoted || any {
                        return Err(self.bad());
                    }
                    scan.next();
                    quoted = true;
                    loop {
                        match scan.next() {
                            None => return Err(self.bad()),
                            Some('"') => break,
                            Some('\\') => value.extend(Some(scan.next().ok_or_else(|| self.bad())?)),
                            Some(c) => value.push(c),
                        }
                    }
                    kept = value.len();
                }
                Some('}') => break,
                Some(c) if c == self.delimiter => break,
                Some(c) if is_space(c) => {
                    scan.next();
                    if !quoted {
                        value.push(c);
                    }
                }
                Some(_) if quoted => return Err(self.bad()),
                Some(c) => {
                    scan.next();
                    any = true;
                    let c = if c == '\\' { scan.next().ok_or_else(|| self.bad())? } else { c };
                    value.push(c);
                    kept = value.len();
                }
            }
        }
        if !quoted && !any {
            return Err(self.bad());
        }
        value.truncate(kept);
        if quoted || !value.eq_ignore_ascii_case("null") {
            self.facts = self.facts.and(facts(self.universe, &value, self.element)?);
        }
        Ok(())
    }
}

/// A row: as many values as the type has fields; an empty one is NULL.
pub(super) fn row(universe: &Universe, text: &str, id: TypeId) -> Result<Facts, Bad> {
    let bad = || Bad::new("22P02", format!("malformed record literal: \"{text}\""));
    let mut scan = Scan::new(text);
    scan.skip_space();
    if !scan.take('(') {
        return Err(bad());
    }
    let mut found = Facts::default();
    let fields = &universe.info(id).fields;
    for (index, (_, field)) in fields.iter().enumerate() {
        if index > 0 && !scan.take(',') {
            return Err(bad());
        }
        let value = part(&mut scan, &[',', ')']).map_err(|_| bad())?;
        if let Some(value) = value {
            found = found.and(facts(universe, &value, *field)?);
        }
    }
    if !scan.take(')') {
        return Err(bad());
    }
    scan.skip_space();
    if scan.is_done() { Ok(found) } else { Err(bad()) }
}

/// The text ends within a value.
struct Unfinished;

/// A value of a row or range up to one of those characters: `None` when there is no value at all.
fn part(scan: &mut Scan<'_>, ends: &[char]) -> Result<Option<String>, Unfinished> {
    if scan.peek().is_some_and(|c| ends.contains(&c)) {
        return Ok(None);
    }
    let (mut value, mut quoted) = (String::new(), false);
    loop {
        let c = scan.peek().ok_or(Unfinished)?;
        if !quoted && ends.contains(&c) {
            return Ok(Some(value));
        }
        scan.next();
        match c {
            '\\' => value.push(scan.next().ok_or(Unfinished)?),
            '"' if quoted && scan.take('"') => value.push('"'),
            '"' => quoted = !quoted,
            c => value.push(c),
        }
    }
}

/// A range: what it takes from the session, and where the text after it begins.
pub(super) fn range<'a>(universe: &Universe, text: &'a str, id: TypeId) -> Result<(Facts, Scan<'a>), Bad> {
    let mut scan = Scan::new(text);
    let found = one_range(universe, &mut scan, text, id)?;
    scan.skip_space();
    if scan.is_done() {
        Ok((found, scan))
    } else {
        Err(Bad::new("22P02", format!("malformed range literal: \"{text}\"")))
    }
}

fn one_range(universe: &Universe, scan: &mut Scan<'_>, text: &str, id: TypeId) -> Result<Facts, Bad> {
    let bad = || Bad::new("22P02", format!("malformed range literal: \"{text}\""));
    scan.skip_space();
    let word = { *scan }.take_while(|c| c.is_ascii_alphabetic()).to_owned();
    if word.eq_ignore_ascii_case("empty") {
        scan.take_while(|c| c.is_ascii_alphabetic());
        return Ok(Facts::default());
    }
    let open = scan.next().filter(|c| matches!(c, '[' | '(')).ok_or_else(bad)?;
    let subtype = universe.part_of(id, Form::Range).unwrap_or(id);
    let low = part(scan, &[',', ')', ']']).map_err(|_| bad())?;
    if !scan.take(',') {
        return Err(bad());
    }
    let high = part(scan, &[',', ')', ']']).map_err(|_| bad())?;
    let close = scan.next().filter(|c| matches!(c, ']' | ')')).ok_or_else(bad)?;
    let mut found = Facts::default();
    for bound in low.iter().chain(&high) {
        found = found.and(facts(universe, bound, subtype)?);
    }
    if let (Some(low), Some(high)) = (&low, &high)
        && order(universe, low, high, subtype)
    {
        return Err(Bad::new("22000", "range lower bound must be less than or equal to range upper bound"));
    }
    // The integer ranges are stored as `[a,b)`, which takes one more than these bounds.
    let last = match universe.info(id).internal {
        "int4range" => i64::from(i32::MAX),
        "int8range" => i64::MAX,
        _ => return Ok(found),
    };
    let is_last =
        |bound: &Option<String>| bound.as_deref().is_some_and(|text| trimmed(text).parse() == Ok(last));
    if (open == '(' && is_last(&low)) || (close == ']' && is_last(&high)) {
        return Err(Bad::new("22003", "integer out of range"));
    }
    Ok(found)
}

/// Whether the first of two valid bounds is certainly the greater one.
fn order(universe: &Universe, low: &str, high: &str, subtype: TypeId) -> bool {
    let builtin = universe.builtin();
    match universe.info(universe.base(subtype)).internal {
        "int4" | "int8" | "int2" | "numeric" | "float8" | "float4" => {
            let value = |text: &str| super::number::numeric(text, builtin.major).ok();
            match (value(low), value(high)) {
                (Some(low), Some(high)) => low > high || (low.is_nan() && !high.is_nan()),
                _ => false,
            }
        }
        "date" | "timestamp" | "timestamptz" => {
            match (super::moment::instant(builtin, low), super::moment::instant(builtin, high)) {
                (Some(low), Some(high)) => low > high,
                _ => false,
            }
        }
        _ => false,
    }
}

/// A multirange: ranges in braces.
pub(super) fn multirange(universe: &Universe, text: &str, id: TypeId) -> Result<Facts, Bad> {
    let bad = || Bad::new("22P02", format!("malformed multirange literal: \"{text}\""));
    let range = universe.part_of(id, Form::Multirange).unwrap_or(id);
    let mut scan = Scan::new(trimmed(text));
    if !scan.take('{') {
        return Err(bad());
    }
    let mut found = Facts::default();
    scan.skip_space();
    if !scan.take('}') {
        loop {
            found = found.and(one_range(universe, &mut scan, text, range)?);
            scan.skip_space();
            if scan.take('}') {
                break;
            }
            if !scan.take(',') {
                return Err(bad());
            }
        }
    }
    scan.skip_space();
    if scan.is_done() { Ok(found) } else { Err(bad()) }
}
