//! What makes a filter's answer depend on settings a session can change: `TimeZone`, `DateStyle`, `lc_*` and the
//! like. PostgreSQL marks such casts, operators and functions STABLE; a few it marks IMMUTABLE are listed here.
//! The clock (`now()`) is STABLE too, and allowed: a session cannot set it.

use super::coerce::Pathway;
use super::judge::Judge;
use super::judge::Value;
use super::kind::{Context, Form, Routine, TypeId};
use super::literal::Facts;
use super::universe::Universe;
use daam_catalog::Volatility;

/// A part of a filter whose value a session can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependence {
    /// Byte offset in the filter's text.
    pub offset: usize,
    /// What depends: `the cast to date`, `operator <`.
    pub what: String,
    /// The setting.
    pub setting: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

const CLOCKS: [&str; 3] = ["now", "statement_timestamp", "transaction_timestamp"];
/// Marked STABLE because they print whatever they are given.
const PRINTERS: [&str; 5] = ["concat", "concat_ws", "format", "array_to_string", "||"];

impl<'e> Judge<'e, '_> {
    fn depends(&mut self, offset: usize, what: String, setting: &'static str) {
        let found = Dependence { offset, what, setting, remedy: remedy(setting) };
        if !self.depends.contains(&found) {
            self.depends.push(found);
        }
    }

    pub(super) fn note_cast(&mut self, value: Value<'e>, to: TypeId, context: Context) {
        if let Some(setting) = self.universe.cast_setting(value.id, to, context) {
            let (from, to) = (self.universe.name(value.id), self.universe.name(to));
            self.depends(value.node.start(), format!("the cast from {from} to {to}"), setting);
        }
    }

    pub(super) fn note_literal(&mut self, value: Value<'e>, text: &str, to: TypeId) {
        let Ok(facts) = super::literal::facts(self.universe, text, to) else { return };
        let Facts { zone, order, moving } = facts;
        let money = self.universe.base(to) == self.universe.ids().money;
        let says = if moving {
            Some(("stands for another moment in every session", "TimeZone"))
        } else if zone {
            Some(("names no time zone", "TimeZone"))
        } else if order {
            Some(("does not say which number is the month", "DateStyle"))
        } else if money {
            Some(("is an amount of money", "lc_monetary"))
        } else {
            None
        };
        if let Some((why, setting)) = says {
            self.depends(value.node.offset, format!("the literal '{text}', which {why},"), setting);
        }
    }

    pub(super) fn note_clock(&mut self, at: usize, word: &str) {
        if word != "CURRENT_TIMESTAMP" {
            self.depends(at, word.to_ascii_lowercase(), "TimeZone");
        }
    }

    pub(super) fn note_routine(&mut self, at: usize, what: &str, routine: &Routine, values: &[Value<'e>]) {
        if routine.volatility != Volatility::Stable {
            return;
        }
        let name = what.split_once(' ').map_or(what, |(_, name)| name);
        let ids = *self.universe.ids();
        if CLOCKS.contains(&name)
            || (name == "date_trunc" && values.len() == 3)
            || (name == "timezone" && values.len() == 2)
        {
            return;
        }
        let types: Vec<TypeId> = values.iter().map(|value| value.id).collect();
        if PRINTERS.contains(&name) {
            let setting = types.iter().find_map(|id| self.universe.output_setting(*id));
            if let Some(setting) = setting {
                self.depends(at, what.to_owned(), setting);
            }
            return;
        }
        let steady = |value: &Value<'_>| value.text.is_some_and(super::literal::is_pure_time);
        if routine.arguments.contains(&ids.interval)
            && routine.arguments.contains(&ids.timestamptz)
            && values.iter().any(|value| steady(value) || is_steady_cast(value))
        {
            return;
        }
        let involved = [ids.timestamptz, ids.timetz];
        let all = || types.iter().chain(&routine.arguments).chain(std::iter::once(&routine.result));
        let setting = if all().any(|id| involved.contains(id)) || name == "age" {
            "TimeZone"
        } else if all().any(|id| [ids.timestamp, ids.date].contains(id)) {
            "lc_time"
        } else {
            "lc_numeric"
        };
        self.depends(at, what.to_owned(), setting);
    }
}

/// `interval '12 hours'`: a length that is the same on every day.
fn is_steady_cast(value: &Value<'_>) -> bool {
    use crate::filter::expression::{Kind, Literal};
    match &value.node.kind {
        Kind::Cast { value, to } if to.name == "interval" => match &value.kind {
            Kind::Literal(Literal::Text(text)) => super::literal::is_pure_time(text),
            _ => false,
        },
        _ => false,
    }
}

impl Universe {
    /// The setting a cast depends on.
    fn cast_setting(&self, from: TypeId, to: TypeId, context: Context) -> Option<&'static str> {
        match self.pathway(to, from, context)? {
            Pathway::Function(Volatility::Stable) => Some(self.setting_of(from, to)),
            Pathway::Relabel | Pathway::Function(_) => None,
            Pathway::Array(to, from) => self.cast_setting(from, to, context),
            Pathway::Text => self.output_setting(from).or_else(|| self.input_setting(to)),
        }
    }

    fn setting_of(&self, from: TypeId, to: TypeId) -> &'static str {
        let ids = self.ids();
        let (from, to) = (self.base(from), self.base(to));
        if from == ids.money || to == ids.money {
            "lc_monetary"
        } else if [from, to].iter().any(|id| [ids.timestamptz, ids.timetz].contains(id)) {
            "TimeZone"
        } else {
            "search_path"
        }
    }

    /// The setting the text form of a type depends on.
    pub(super) fn output_setting(&self, id: TypeId) -> Option<&'static str> {
        let ids = *self.ids();
        let id = self.base(id);
        if let Some(element) = self.element(id) {
            return self.output_setting(element);
        }
        let info = self.info(id);
        match info.form {
            Form::Range | Form::Multirange => info.of.and_then(|of| self.output_setting(of)),
            Form::Composite => info.fields.iter().find_map(|(_, field)| self.output_setting(*field)),
            Form::Base if id == ids.timestamptz => Some("TimeZone"),
            Form::Base if id == ids.interval => Some("IntervalStyle"),
            Form::Base if id == ids.bytea => Some("bytea_output"),
            Form::Base if id == ids.float4 || id == ids.float8 => Some("extra_float_digits"),
            Form::Base if id == ids.money => Some("lc_monetary"),
            Form::Base if id == ids.date || id == ids.timestamp => Some("DateStyle"),
            Form::Base if info.internal.starts_with("reg") => Some("search_path"),
            _ => None,
        }
    }

    /// The setting the reading of a type's text form depends on.
    fn input_setting(&self, id: TypeId) -> Option<&'static str> {
        let ids = *self.ids();
        let id = self.base(id);
        if let Some(element) = self.element(id) {
            return self.input_setting(element);
        }
        let info = self.info(id);
        match info.form {
            Form::Range | Form::Multirange => info.of.and_then(|of| self.input_setting(of)),
            Form::Composite => info.fields.iter().find_map(|(_, field)| self.input_setting(*field)),
            Form::Base if id == ids.timestamptz || id == ids.timetz => Some("TimeZone"),
            Form::Base if id == ids.date || id == ids.timestamp => Some("DateStyle"),
            Form::Base if id == ids.interval => Some("IntervalStyle"),
            Form::Base if id == ids.money => Some("lc_monetary"),
            Form::Base if info.internal.starts_with("reg") => Some("search_path"),
            _ => None,
        }
    }
}

fn remedy(setting: &str) -> &'static str {
    match setting {
        "TimeZone" => {
            "name the zone: `created_at at time zone 'UTC'`, `timestamptz '2026-01-01 00:00+00'`, or an interval in hours"
        }
        "DateStyle" | "IntervalStyle" | "lc_time" => {
            "compare dates and times as what they are, not as text, and write dates as `2026-01-31`"
        }
        "lc_monetary" | "lc_numeric" => "compare numbers as numbers",
        "search_path" => "compare names as text",
        _ => "compare the value itself, not its text form",
    }
}
