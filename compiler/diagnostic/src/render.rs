//! Findings as text, JSON, SARIF, JUnit XML and workflow annotations. Renderers print; they decide nothing.

pub mod github;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;
