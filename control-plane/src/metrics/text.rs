//! The text format, version 0.0.4.

use super::{BOUNDS, Family, Histogram, Kind};
use std::fmt::{Display, Write as _};

/// A page as it is written. Writing to a string does not fail.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// Names with values of our own making: nothing is escaped.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// What the following samples are of.
    pub(super) fn family(&mut self, Family { name, kind, help }: Family) {
        let kind = kind.name();
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, family: Family, labels: Labels<'_>, value: impl Display) {
        self.line(family.name, "", labels, value);
    }

    /// A family of one sample.
    pub(super) fn one(&mut self, family: Family, value: impl Display) {
        self.family(family);
        self.sample(family, &[], value);
    }

    /// The samples of one histogram; none if nothing was observed.
    pub(super) fn histogram(&mut self, family: Family, labels: Labels<'_>, of: &Histogram) {
        debug_assert_eq!(family.kind, Kind::Histogram);
        let (buckets, sum) = of.read();
        let mut count = 0_u64;
        let mut bounds = BOUNDS.iter().map(ToString::to_string);
        if buckets.iter().all(|bucket| *bucket == 0) {
            return;
        }
        for bucket in buckets {
            count = count.saturating_add(bucket);
            let bound = bounds.next().unwrap_or_else(|| "+Inf".to_owned());
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.line(family.name, "_bucket", &labels, count);
        }
        self.line(family.name, "_sum", labels, sum);
        self.line(family.name, "_count", labels, count);
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let _ = write!(self.0, "{name}{suffix}");
        for (at, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub(super) fn done(self) -> String {
        self.0
    }
}
