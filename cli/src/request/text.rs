//! Requests in words.

use daam_api::link::AccessAsked;
use daam_api::v1::{AccessRequest, Requestable};
use std::fmt::Write as _;
use std::time::Duration;

/// Whose requests a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// One's own.
    Own,
    /// Others' too, so it says whose.
    Others,
}

/// Everything about one request.
pub(super) fn card(request: &AccessRequest) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:10}{value}");
    };
    row("request", &request.id);
    row("state", &state(request));
    row("for", &format!("{} on {}, {}", request.name, request.database, span(request.seconds)));
    if let AccessAsked::AdHoc { relations, .. } = &request.what {
        for relation in relations {
            row("", &relation.words());
        }
    }
    row("by", &request.requester);
    if !request.reason.is_empty() {
        row("reason", &plain(&request.reason));
    }
    match (&request.starts_at, &request.ends_at) {
        (Some(start), Some(end)) => row("time", &format!("{start} to {end}")),
        (Some(start), None) => row("begins", start),
        _ => {}
    }
    if let Some(more) = &request.extension {
        row("wants", &format!("until {} {}", more.ends_at, plain(&more.reason)));
    }
    if let Some(needed) = needed(request) {
        row("needs", &needed);
    }
    for event in &request.history {
        let reason =
            if event.reason.is_empty() { String::new() } else { format!(": {}", plain(&event.reason)) };
        row(&event.act, &format!("{} at {}{reason}", event.by, event.at));
    }
    for report in &request.agents {
        let reason = report.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", plain(reason)));
        row("agent", &format!("{} says {}{reason}", report.agent, report.state));
    }
    text
}

/// What a decision needs, in words; none if there is none to make.
pub(super) fn needed(request: &AccessRequest) -> Option<String> {
    let needed = request.needed.as_ref()?;
    let groups: Vec<String> = needed.groups.iter().map(|group| format!("`{group}`")).collect();
    Some(format!("{} of {} approvals, by members of {}", needed.given, needed.approvals, groups.join(" or ")))
}

/// One line each.
pub(super) fn table(requests: &[AccessRequest], kind: Listed) -> String {
    let lines: Vec<[String; 5]> = requests
        .iter()
        .map(|request| {
            let whose = match kind {
                Listed::Own => String::new(),
                Listed::Others => request.requester.clone(),
            };
            let end =
                request.ends_at.clone().map_or_else(|| span(request.seconds), |end| format!("until {end}"));
            let what = format!("{} on {}", request.name, request.database);
            [request.id.clone(), short_state(request), what, end, whose]
        })
        .collect();
    let width = |at: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(at))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Something that can be asked for.
pub(super) fn option(option: &Requestable) -> String {
    let groups: Vec<String> = option.approvers.iter().map(|group| format!("`{group}`")).collect();
    let mut text = format!("{} ({})\n", option.name, option.kind);
    if !option.description.is_empty() {
        let _ = writeln!(text, "  {}", plain(&option.description));
    }
    let reason = if option.reason_required { ", with a reason" } else { "" };
    let (most, count) = (span(option.max_seconds), option.approvals);
    let _ = writeln!(text, "  at most {most}, {count} approval(s) by {}{reason}", groups.join(" or "));
    for line in &option.gives {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn state(request: &AccessRequest) -> String {
    match &request.note {
        Some(note) => format!("{} ({})", request.state, plain(note)),
        None => request.state.clone(),
    }
}

fn short_state(request: &AccessRequest) -> String {
    if request.extension.is_some() { format!("{}, wants more", request.state) } else { request.state.clone() }
}

/// What others wrote must not move the reader's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
