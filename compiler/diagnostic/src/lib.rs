//! Where something is and what is wrong with it.
//!
//! A [`Diagnostic`] has a stable [`RuleCode`], a headline, a primary place, further labelled places, help and
//! suggested edits. Passes push them into a [`Sink`] and carry on; [`Sink::into_sorted`] gives them back in an
//! order that does not depend on the order of passes or files. Renderers only print; no output format ever
//! changes a verdict. What programs log goes through [`log::Lines`]. Headlines are lower case without a full stop, and put the user's text in backticks.

pub mod code;
pub mod diagnostic;
pub mod finding;
pub mod log;
pub mod render;
pub mod report;
pub mod shown;
pub mod sink;
pub mod source;
pub mod span;
pub mod suggest;

pub use code::{RuleCode, Severity};
pub use diagnostic::{Applicability, Diagnostic, Edit, Fix, Label};
pub use finding::{Finding, identify};
pub use report::{Report, RuleText, Silenced};
pub use sink::Sink;
pub use source::{Position, SourceId, SourceMap};
pub use span::{Location, Span};
pub use suggest::nearest;
