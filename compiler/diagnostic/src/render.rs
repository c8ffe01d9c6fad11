//! Findings as text, JSON, SARIF, JUnit XML, Markdown and what pipelines annotate with. Renderers print; they decide
//! nothing.

pub mod concise;
pub mod github;
pub mod gitlab;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod sarif;
pub mod text;
