//! Lists in parts. A list is in the order of a key that no two of its items share, and goes on after the last one that was
//! given: what is added or removed meanwhile neither repeats nor hides another item. Where to go on is in the `Link`
//! header (RFC 8288), as an address; its cursor is nothing to look into, and refused where it is not of this list.

use crate::problem::Refusal;
use axum::Json;
use axum::extract::{FromRequestParts, MatchedPath, OriginalUri, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde::Deserialize;
use serde::Serialize;

/// Items of an answer, unless fewer are asked for.
pub(crate) const MOST: usize = 500;

/// A part of a list, and where it goes on.
pub(crate) type Part<T> = (HeaderMap, Json<Vec<T>>);

/// Which part of a list is asked for.
#[derive(Debug)]
pub(crate) struct Paging {
    uri: Uri,
    list: String,
    pub(crate) limit: usize,
    /// The key of the last item that is known.
    pub(crate) after: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::<Asked>::from_request_parts(parts, state).await.map_err(|_| malformed())?;
        let OriginalUri(uri) =
            OriginalUri::from_request_parts(parts, state).await.map_err(|_| malformed())?;
        let list =
            parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let Query(Asked { limit, cursor }) = query;
        Self::of(uri, &list, (limit, cursor.as_deref()))
    }
}

fn malformed() -> Refusal {
    Refusal::bad("request.malformed", "the query is not understood")
        .allowed(format!("`limit` from 1 to {MOST}, and `cursor` as the last answer's `Link` has it"))
}

impl Paging {
    /// Of a list whose query asks for more than a part.
    pub(crate) fn of(
        uri: Uri,
        list: &str,
        (limit, cursor): (Option<usize>, Option<&str>),
    ) -> Result<Self, Refusal> {
        let limit = limit.unwrap_or(MOST);
        if !(1..=MOST).contains(&limit) {
            return Err(malformed());
        }
        let after = cursor.map(|cursor| read(list, cursor)).transpose()?;
        Ok(Self { uri, list: list.to_owned(), limit, after })
    }

    /// The part of a whole list that is asked for, in the order of its keys.
    pub(crate) fn part<T: Serialize>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Part<T> {
        let mut keyed: Vec<(String, T)> = items.into_iter().map(|item| (key(&item), item)).collect();
        keyed.retain(|(key, _)| self.after.as_ref().is_none_or(|after| key > after));
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = keyed.len() > self.limit;
        keyed.truncate(self.limit);
        let last = keyed.last().map(|(key, _)| key.clone()).filter(|_| more);
        self.answer(keyed.into_iter().map(|(_, item)| item).collect(), last.as_deref())
    }

    /// A part that the store has picked: if there is more, with the key of its last item.
    pub(crate) fn answer<T: Serialize>(&self, items: Vec<T>, more_after: Option<&str>) -> Part<T> {
        let headers = more_after.map(|key| link(&self.uri, &[("cursor", &write(&self.list, key))]));
        (headers.unwrap_or_default(), Json(items))
    }
}

/// The same request, with these for the rest.
pub(crate) fn link(uri: &Uri, to: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Ok(mut url) = Url::parse(&format!("http://x{uri}")) else { return headers };
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| to.iter().all(|(set, _)| set != name)).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(to);
    let next = format!("<{}?{}>; rel=\"next\"", url.path(), url.query().unwrap_or_default());
    if let Ok(value) = HeaderValue::from_str(&next) {
        headers.insert(header::LINK, value);
    }
    headers
}

fn write(list: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1\n{list}\n{key}"))
}

fn read(list: &str, cursor: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.contains('\0'));
    let key = text.as_ref().and_then(|text| text.strip_prefix("1\n")?.strip_prefix(list)?.strip_prefix('\n'));
    key.map(str::to_owned).ok_or_else(|| {
        Refusal::bad("request.cursor", "the cursor is none of this list")
            .allowed("one from the `Link` of this list's last answer, or none for its beginning")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(limit: usize, after: Option<&str>) -> Paging {
        let uri = Uri::from_static("/v1/tokens?limit=2&cursor=old");
        Paging { uri, list: "/v1/tokens".to_owned(), limit, after: after.map(str::to_owned) }
    }

    #[test]
    fn the_parts_of_a_list_are_the_whole_list_whatever_is_added_and_removed() {
        let (headers, Json(first)) =
            paging(2, None).part(vec!["d", "a", "c", "b"], |item| (*item).to_owned());
        assert_eq!(first, ["a", "b"]);
        let link = headers[header::LINK].to_str().unwrap();
        let cursor = link.split("cursor=").nth(1).unwrap().split('>').next().unwrap();
        assert_eq!(link, format!("</v1/tokens?limit=2&cursor={cursor}>; rel=\"next\""));
        let after = read("/v1/tokens", cursor).unwrap();
        // `b` went, `aa` and `bb` came.
        let (headers, Json(rest)) =
            paging(5, Some(&after)).part(vec!["bb", "aa", "d", "a", "c"], |item| (*item).to_owned());
        assert_eq!(rest, ["bb", "c", "d"]);
        assert!(headers.is_empty(), "there is no more");
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nobody_is_refused() {
        let cursor = write("/v1/users", "x@y.example");
        assert_eq!(read("/v1/users", &cursor).unwrap(), "x@y.example");
        for bad in [cursor.as_str(), "", "!", "AAAA", &URL_SAFE_NO_PAD.encode("1\n/v1/tokens\nx\0")] {
            assert!(read("/v1/tokens", bad).is_err(), "{bad}");
        }
    }
}
