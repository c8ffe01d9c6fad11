//! Findings as text, JSON and workflow annotations. Renderers print; they decide nothing.

pub mod github;
pub mod json;
pub mod text;
