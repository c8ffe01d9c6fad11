//! What a search found, taken out as a file: everything that fits, read from the store as it is sent.

use crate::problem::Refusal;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use daam_store::StoreError;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::io;
use time::format_description::well_known::Iso8601;
use time::{Date, Time};

const DAY_SECONDS: i64 = 86_400;

/// What kind of file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Csv,
    Jsonl,
}

/// What a file has one of per line.
pub(crate) trait Row: Serialize {
    /// The first line of a CSV file.
    const COLUMNS: &'static [&'static str];

    /// Its fields, one for each column.
    fn fields(&self) -> Vec<String>;
}

/// The file: `next` reads a page and says where it goes on, if it does.
pub(crate) fn file<T: Row, S: Send + 'static, F>(
    (format, name): (Format, &str),
    first: S,
    mut next: impl FnMut(S) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Result<(Vec<T>, Option<S>), StoreError>> + Send + 'static,
{
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Jsonl => ("application/jsonl", "jsonl"),
    };
    let pages = stream::try_unfold((Some(first), true), move |(state, is_first)| {
        let read = state.map(&mut next);
        async move {
            let Some(read) = read else { return Ok::<_, io::Error>(None) };
            let (rows, next) = read.await.map_err(io::Error::other)?;
            let bytes = written(&rows, format, is_first).map_err(io::Error::other)?;
            Ok(Some((bytes, (next, false))))
        }
    });
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, Body::from_stream(pages)).into_response()
}

/// Why a page of the file could not be made.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("could not write an entry")]
    Csv(#[from] csv::Error),
    #[error("could not write an entry")]
    Json(#[from] serde_json::Error),
    #[error("could not write an entry")]
    Io(#[from] io::Error),
}

fn written<T: Row>(rows: &[T], format: Format, is_first: bool) -> Result<Vec<u8>, WriteError> {
    if format == Format::Jsonl {
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, row)?;
            bytes.push(b'\n');
        }
        return Ok(bytes);
    }
    let mut lines = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if is_first {
        lines.write_record(T::COLUMNS)?;
    }
    for row in rows {
        lines.write_record(row.fields().iter().map(|field| not_a_formula(field)))?;
    }
    Ok(lines.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
}

/// A spreadsheet computes what begins like this; people who are audited choose some of these texts.
fn not_a_formula(text: &str) -> String {
    // Where commas are in numbers, it takes a semicolon for the end of a field, whatever quotes are around it.
    let fields = text.split_inclusive(';').map(|field| {
        let quote = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("{quote}{field}")
    });
    fields.collect()
}

/// A field of a form that asks for something.
pub(crate) fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The first second of the first day and the last one of the last, of a form that may leave out either.
pub(crate) fn days(from: &str, to: &str) -> Result<(Option<i64>, Option<i64>), Refusal> {
    let since = given(from).map(|day| begins(&day)).transpose()?;
    let until = given(to).map(|day| begins(&day).map(|at| at.saturating_add(DAY_SECONDS - 1))).transpose()?;
    Ok((since, until))
}

fn begins(day: &str) -> Result<i64, Refusal> {
    let date = Date::parse(day, &Iso8601::DATE).map_err(|_| {
        Refusal::bad("request.malformed", "the day is not understood").allowed("days as `2026-01-31`")
    })?;
    Ok(date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_no_formula_of_a_spreadsheet() {
        assert_eq!(not_a_formula("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(not_a_formula("user.put"), "user.put");
        assert_eq!(not_a_formula("a;=1+1;@x;b"), "a;'=1+1;'@x;b");
    }

    #[test]
    fn a_day_is_whole_and_nonsense_is_refused() {
        assert_eq!(days("2027-01-15", "2027-01-15").unwrap(), (Some(1_799_971_200), Some(1_800_057_599)));
        assert_eq!(days(" ", "").unwrap(), (None, None));
        assert!(days("2027-02-30", "").is_err());
        assert!(days("", "soon").is_err());
    }
}
