//! How messages travel: base64 in a form, or deflated in a query with a signature beside it. Their size is bounded before
//! anything reads them; what stands twice in a query or a form is refused by the library, since one of the two would be
//! verified and the other believed.

use crate::Refused;
use crate::signature::query_is_signed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gamlastan::bindings::encoding::{parse_query_string_raw, url_decode};
use gamlastan::bindings::error::BindingError;
use gamlastan::bindings::redirect::redirect_decode;
use gamlastan::bindings::traits::HttpRequest;
use gamlastan::xml::{Document, NodeId, SecureParseConfig, parse_secure_with_config};
use std::collections::BTreeSet;

/// Most bytes of a message.
pub const LARGEST_MESSAGE: usize = 256 * 1024;

/// Most attributes and namespaces of one element.
const MOST_ATTRIBUTES: usize = 32;
/// Most tags of a message, at their beginning and end, and most attributes in all of it: some thousand groups.
const MOST_TAGS: usize = 20_000;
/// Elements within elements.
const DEEPEST: u32 = 16;

/// What attributes identify an element by, in whatever vocabulary.
const IDS: [&str; 4] = ["Id", "ID", "id", "AssertionID"];

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub enum Carried<'a> {
    /// A form's field, base64.
    Form(&'a str),
    /// A whole query, as it was sent.
    Query(&'a str),
}

/// A message's text, and whether a pinned key signed it from outside.
pub(crate) struct Text {
    pub(crate) xml: String,
    pub(crate) signed: bool,
}

impl Carried<'_> {
    /// The text. A query's signature is verified with it.
    pub(crate) fn text(self, certificates: &[Vec<u8>], is_request: bool) -> Result<Text, Refused> {
        match self {
            Self::Form(encoded) => Ok(Text { xml: from_form(encoded)?, signed: false }),
            Self::Query(query) => from_query(query, certificates, is_request),
        }
    }
}

pub(crate) fn from_form(encoded: &str) -> Result<String, Refused> {
    // Some providers break their lines.
    let clean: String = encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if clean.len() / 4 * 3 > LARGEST_MESSAGE.saturating_add(3) {
        return Err(Refused::Size);
    }
    let bytes = STANDARD.decode(clean).map_err(|_| Refused::Form("it is not base64"))?;
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Refused> {
    if bytes.len() > LARGEST_MESSAGE {
        return Err(Refused::Size);
    }
    String::from_utf8(bytes).map_err(|_| Refused::Form("it is not UTF-8"))
}

fn from_query(query: &str, certificates: &[Vec<u8>], is_request: bool) -> Result<Text, Refused> {
    if query.len() > LARGEST_MESSAGE {
        return Err(Refused::Size);
    }
    let request = Query { url: format!("?{query}"), pairs: pairs(query) };
    let decoded = redirect_decode(&request).map_err(|error| match error {
        BindingError::MessageTooLarge(_) => Refused::Size,
        _ => Refused::Form("its query is not one of this binding"),
    })?;
    if decoded.is_request != is_request {
        return Err(Refused::Form("it is an answer where a request belongs, or the other way round"));
    }
    query_is_signed(&decoded, certificates)?;
    Ok(Text { xml: text(decoded.saml_xml)?, signed: true })
}

/// Names decoded, values as they were sent.
fn pairs(query: &str) -> Vec<(String, String)> {
    let raw = parse_query_string_raw(query).into_iter();
    raw.filter_map(|(name, value)| Some((url_decode(name).ok()?, value.to_owned()))).collect()
}

struct Query {
    url: String,
    pairs: Vec<(String, String)>,
}

impl HttpRequest for Query {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn query_param(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn form_param(&self, _: &str) -> Option<&str> {
        None
    }

    fn header(&self, _: &str) -> Option<&str> {
        None
    }

    fn body(&self) -> &[u8] {
        &[]
    }

    fn remote_addr(&self) -> Option<&str> {
        None
    }
}

/// Refuses more parts than messages have, before anything is made of them: the parser and the canonical form take time
/// by the square of an element's attributes, and 200 KB of these are minutes.
pub(crate) fn bounded(xml: &str) -> Result<(), Refused> {
    let too_many = Refused::Form("it has more parts than a message may have");
    let (mut tags, mut all) = (0_usize, 0_usize);
    // No attribute holds a `<`, so what is between two of them is one tag and some text.
    for piece in xml.split('<') {
        tags = tags.saturating_add(1);
        let values = piece.split('=').skip(1).filter(|rest| rest.trim_start().starts_with(['"', '\'']));
        let attributes = values.count();
        all = all.saturating_add(attributes);
        if attributes > MOST_ATTRIBUTES || tags > MOST_TAGS || all > MOST_TAGS {
            return Err(too_many);
        }
    }
    Ok(())
}

/// Reads a message: no document type, no comments, no processing instructions, no CDATA, and every identifier once.
pub(crate) fn read(xml: &str) -> Result<(Document<'_>, NodeId), Refused> {
    bounded(xml)?;
    let config = SecureParseConfig::default().with_max_depth(DEEPEST);
    let document =
        parse_secure_with_config(xml, &config).map_err(|_| Refused::Form("it is not plain XML"))?;
    let root = document.document_element().ok_or(Refused::Form("it is empty"))?;
    let mut known = BTreeSet::new();
    for node in std::iter::once(root).chain(document.descendants(root)) {
        let Some(element) = document.element(node) else { continue };
        for attribute in &element.attributes {
            let identifies = IDS.contains(&&*attribute.name.local_name);
            if identifies && !known.insert(attribute.value.to_string()) {
                return Err(Refused::Form("an identifier is in it twice"));
            }
        }
    }
    Ok((document, root))
}
