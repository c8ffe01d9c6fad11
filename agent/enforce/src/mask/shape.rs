//! Telling a masked value from an honest one, as SQL conditions.
//!
//! Two questions. *Could this be what the mask shows?* ([`image`]) is cheap and may say yes too often; it only keeps
//! the dear comparison with the stored value away from most rows. *Can this be nothing but a mask?* ([`certain`]) must
//! never say yes to an honest value, because where there is no stored value to compare with it decides alone.

use super::expression;
use daam_catalog::{DataType, TypeClass};
use daam_model::{JsonMask, Mask};
use daam_sql::quote;
use std::collections::BTreeSet;

/// A condition that holds for everything the mask can show in a column, NULL included.
pub(crate) fn image(mask: &Mask, data_type: &DataType, value: &str) -> String {
    let text = format!("{value}::pg_catalog.text");
    match (mask, data_type.class) {
        (Mask::Hash, TypeClass::Uuid) => format!("{value} IS NOT NULL"),
        (Mask::Hash, TypeClass::Text) => {
            format!("pg_catalog.translate({text}, '0123456789abcdef', '') = ''")
        }
        (Mask::Null, _) => format!("{value} IS NULL"),
        (Mask::Constant(constant), _) if !super::is_wide_enough(constant, data_type) => {
            format!("{value} IS NULL")
        }
        (Mask::Constant(_), _) => {
            let constant = super::constant(mask, data_type);
            format!("{text} = ({constant})::pg_catalog.text")
        }
        (_, TypeClass::Text) => format!("pg_catalog.strpos({text}, '*') > 0"),
        // Any part of a document may be the masked one, and a multiple of n is one only nearly.
        (Mask::Json(_), _) | (_, TypeClass::Float) => "true".to_owned(),
        // Truncated, bucketed and rounded values stay what they are when it is done again, unless they leave the range.
        _ => {
            let again = expression(mask, data_type, value);
            format!("({again} IS NULL OR {text} = ({again})::pg_catalog.text)")
        }
    }
}

/// A condition that holds only for values nobody would write but by reading them masked; `None` where every masked
/// value could be an honest one.
pub(crate) fn certain(mask: &Mask, data_type: &DataType, value: &str) -> Option<String> {
    if data_type.class != TypeClass::Text {
        return None;
    }
    let text = format!("{value}::pg_catalog.text");
    let like: &[&str] = match mask {
        Mask::Redact => &[],
        Mask::CreditCard => &["****-****-****-____"],
        Mask::Ssn => &["***-**-____"],
        Mask::Phone => &["***-***-____"],
        Mask::Name => &["_***", "_*** _***", "_*** ***", "*** _***", "*** ***"],
        Mask::Email => &["_***@_***.%"],
        Mask::Domain => &["***@_%"],
        Mask::Partial { prefix, suffix } => return Some(partial(&text, *prefix, *suffix)),
        _ => return None,
    };
    let likes = like.iter().map(|shape| format!("{text} LIKE {}", quote::literal(shape)));
    let all: Vec<String> = std::iter::once(format!("{text} = '***'")).chain(likes).collect();
    Some(format!("({})", all.join(" OR ")))
}

fn partial(text: &str, prefix: u32, suffix: u32) -> String {
    let (prefix, suffix) = (u64::from(prefix.min(1 << 28)), u64::from(suffix.min(1 << 28)));
    format!(
        "({text} = '***' OR (pg_catalog.length({text}) = {} AND pg_catalog.substr({text}, {}, 4) = '****'))",
        prefix + suffix + 4,
        prefix + 1
    )
}

/// The paths of a document that a mask may have changed, from the whole of it down; an array on the way is hidden
/// whole, so every beginning of a path counts.
pub(crate) fn parts(json: &JsonMask) -> Vec<Vec<String>> {
    let beginnings = |path: &Vec<String>| {
        let path = path.clone();
        (0..=path.len()).map(move |length| path.iter().take(length).cloned().collect())
    };
    let all: BTreeSet<Vec<String>> = json.paths.iter().flat_map(beginnings).collect();
    all.into_iter().collect()
}

/// A document as `jsonb`.
pub(crate) fn document(value: &str, data_type: &DataType) -> String {
    if data_type.class == TypeClass::Json { super::json_as_jsonb(value) } else { value.to_owned() }
}

/// The part of a `jsonb` document at a path, as text; a JSON null is not the same as no part.
pub(crate) fn part(document: &str, path: &[String]) -> String {
    let keys: Vec<String> = path.iter().map(|key| quote::literal(key)).collect();
    format!("({document} #> ARRAY[{}]::pg_catalog.text[])::pg_catalog.text", keys.join(", "))
}
