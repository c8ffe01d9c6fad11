//! What a person is told when a session first touches a table that looks different to them.

use super::SessionPlan;
use daam_catalog::RelationName;
use std::collections::BTreeSet;

/// How many columns are named.
const NAMED: usize = 20;

impl SessionPlan {
    /// Which columns of these tables are masked and which of them are filtered; nothing if none is.
    pub fn introduction(&self, tables: &BTreeSet<RelationName>) -> Option<String> {
        let touched = || tables.iter().filter_map(|name| self.protected.get(name));
        let masked = touched().flat_map(|table| {
            let columns = table.columns().iter().filter(|column| table.reads(column.name()));
            columns.filter_map(|column| {
                Some(format!("`{}.{}` (`{}`)", table.name, column.name().as_str(), column.mask()?.preset()))
            })
        });
        let filtered = touched().filter(|table| table.is_filtered()).map(|table| format!("`{}`", table.name));
        let (masked, filtered): (Vec<String>, Vec<String>) = (masked.collect(), filtered.collect());
        let parts = [("you see masked: ", masked), ("you see some rows only of: ", filtered)];
        let told: Vec<String> = parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(words, names)| format!("{words}{}", listed(&names)))
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

fn listed(names: &[String]) -> String {
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => {
            format!("{} and {} more", first.join(", "), names.len() - NAMED)
        }
        _ => names.join(", "),
    }
}
