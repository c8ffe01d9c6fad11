//! Underlined source for people.

use crate::code::Severity;
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;
use crate::span::{Location, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan,
    ThemeCharacters, ThemeStyles,
};
use std::fmt;

/// Whether escape sequences may be used; only a terminal gets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// A terminal.
    Ansi,
    /// A file or a pipe.
    Plain,
}

/// All findings, one after the other, and a line that counts them.
pub fn to_text<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    sources: &SourceMap,
    colour: Colour,
) -> String {
    let theme = match colour {
        Colour::Ansi => GraphicalTheme::unicode(),
        Colour::Plain => {
            GraphicalTheme { characters: ThemeCharacters::unicode(), styles: ThemeStyles::none() }
        }
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(110);
    let mut out = String::new();
    let diagnostics: Vec<&Diagnostic> = diagnostics.into_iter().collect();
    for diagnostic in &diagnostics {
        let mut block = String::new();
        if handler.render_report(&mut block, &Shown::new(diagnostic, sources)).is_err() {
            block = headline(diagnostic, sources);
        }
        out.push_str(&block);
        out.push('\n');
    }
    out.push_str(&count(diagnostics.iter().copied()));
    out.push('\n');
    out
}

/// `2 errors, 1 warning` or `no findings`.
pub fn count<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let severities: Vec<Severity> = diagnostics.into_iter().map(|found| found.severity).collect();
    let parts: Vec<String> =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")]
            .into_iter()
            .filter_map(|(severity, word)| {
                let number = severities.iter().filter(|found| **found == severity).count();
                match number {
                    0 => None,
                    1 => Some(format!("1 {word}")),
                    _ => Some(format!("{number} {word}s")),
                }
            })
            .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}

fn headline(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    format!("{}: {} {}\n", place(diagnostic.at, sources), diagnostic.code, diagnostic.message)
}

/// A finding as miette wants it. Labels in other files go into the help: one report shows one source.
struct Shown<'a> {
    found: &'a Diagnostic,
    source: NamedSource<String>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
}

impl<'a> Shown<'a> {
    fn new(found: &'a Diagnostic, sources: &SourceMap) -> Self {
        let id = found.at.source;
        let text = sources.text(id);
        let mut labels = vec![LabeledSpan::new_primary_with_span(None, within(found.at.span, text))];
        let mut help: Vec<String> = found.help.iter().cloned().collect();
        for label in &found.labels {
            if label.at.source == id {
                labels
                    .push(LabeledSpan::new_with_span(Some(label.text.clone()), within(label.at.span, text)));
            } else {
                help.push(format!("{}: {}", place(label.at, sources), label.text));
            }
        }
        let source = NamedSource::new(sources.path(id), text.to_owned());
        Self { found, source, labels, help: (!help.is_empty()).then(|| help.join("\n")) }
    }
}

/// `path:line:column`.
pub fn place(at: Location, sources: &SourceMap) -> String {
    let position = sources.position(at.source, at.span.start);
    format!("{}:{}:{}", sources.path(at.source), position.line, position.column)
}

/// The range as far as the text reaches: miette refuses anything beyond it.
fn within(span: Span, text: &str) -> SourceSpan {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    SourceSpan::from((start, end - start))
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.found.code)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(format!("{} {}", self.found.code, self.found.code.slug)))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.found.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Info => miette::Severity::Advice,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| -> Box<dyn fmt::Display> { Box::new(help) })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
