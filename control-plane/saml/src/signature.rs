//! Which elements the pinned keys signed. A signature counts where the standard puts it: in the message, or in its one
//! assertion, over exactly that element, by the transforms the standard names. Whatever key the message brings along is
//! nobody's; every signature that is there must hold, under one pinned key or another.

use crate::Refused;
use crate::metadata::pinned_key;
use gamlastan::bindings::redirect::{RedirectDecoded, redirect_verify_signature};
use gamlastan::crypto::{CryptoError, KeysManager, SamlVerifier, VerifyResult};
use gamlastan::xml::{Document, NodeId};
use std::collections::BTreeSet;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const TRANSFORMS: [&str; 2] =
    ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/2001/10/xml-exc-c14n#"];
/// Most signatures of a message: its own and its assertion's.
const MOST: usize = 2;

fn verifier(certificate: &[u8]) -> Option<SamlVerifier> {
    let mut keys = KeysManager::new();
    keys.add_key(pinned_key(certificate)?);
    Some(SamlVerifier::new(keys))
}

fn is(document: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> bool {
    document.element(node).is_some_and(|element| element.matches_name_ns(namespace, name))
}

pub(crate) fn children(
    document: &Document<'_>,
    parent: NodeId,
    (namespace, name): (&str, &str),
) -> Vec<NodeId> {
    document.children_iter(parent).filter(|child| is(document, *child, namespace, name)).collect()
}

fn only(document: &Document<'_>, parent: NodeId, name: &str) -> Result<NodeId, Refused> {
    match children(document, parent, (DSIG, name)).as_slice() {
        [one] => Ok(*one),
        _ => Err(Refused::Signature("a signature does not have the parts it must have")),
    }
}

/// The identifiers of what is signed, of the elements that may be.
pub(crate) fn signed(
    (xml, document): (&str, &Document<'_>),
    may_be: &[NodeId],
    certificates: &[Vec<u8>],
) -> Result<BTreeSet<String>, Refused> {
    let covered = shapes(document, may_be)?;
    let mut holds = vec![false; covered.len()];
    for verifier in certificates.iter().filter_map(|certificate| verifier(certificate)) {
        let found = verifier.verify_all_enveloped(xml).map_err(|error| refusal(&error))?;
        if found.len() != covered.len() {
            return Err(Refused::Signature("its signatures are not where they belong"));
        }
        for ((holds, id), found) in holds.iter_mut().zip(&covered).zip(&found) {
            *holds |= covers(found, id);
        }
    }
    if !holds.iter().all(|holds| *holds) {
        return Err(Refused::Signature("no registered key made a signature in it"));
    }
    Ok(covered.into_iter().collect())
}

fn covers(found: &VerifyResult, id: &str) -> bool {
    let VerifyResult::Valid { references, .. } = found else { return false };
    let [one] = references.as_slice() else { return false };
    found.all_reference_digests_verified() && one.uri.strip_prefix('#') == Some(id)
}

fn refusal(error: &CryptoError) -> Refused {
    match error {
        CryptoError::DisallowedSignatureAlgorithm(_) | CryptoError::DisallowedDigestAlgorithm(_) => {
            Refused::Algorithm
        }
        _ => Refused::Signature("a signature in it cannot be verified"),
    }
}

/// What each signature says it covers, in the order of the document.
fn shapes(document: &Document<'_>, may_be: &[NodeId]) -> Result<Vec<String>, Refused> {
    let misplaced = Refused::Signature("its signatures are not where they belong");
    let root = document.document_element().ok_or(Refused::Form("it is empty"))?;
    let all = document.descendants(root).into_iter().filter(|node| is(document, *node, DSIG, "Signature"));
    let all: Vec<NodeId> = all.collect();
    if all.is_empty() {
        return Err(Refused::Signature("nothing in it is signed"));
    }
    if all.len() > MOST {
        return Err(misplaced);
    }
    let mut parents = Vec::new();
    let mut covered = Vec::new();
    for signature in all {
        let parent = document.parent(signature).filter(|parent| may_be.contains(parent)).ok_or(misplaced)?;
        if parents.contains(&parent) {
            return Err(misplaced);
        }
        parents.push(parent);
        covered.push(shape(document, parent, signature)?);
    }
    Ok(covered)
}

fn shape(document: &Document<'_>, parent: NodeId, signature: NodeId) -> Result<String, Refused> {
    let odd = Refused::Signature("a signature covers something else than what it is in");
    let known = |node: NodeId| {
        ["SignedInfo", "SignatureValue", "KeyInfo"].iter().any(|name| is(document, node, DSIG, name))
    };
    if document.children_iter(signature).any(|child| document.element(child).is_some() && !known(child)) {
        return Err(Refused::Signature("a signature does not have the parts it must have"));
    }
    let info = only(document, signature, "SignedInfo")?;
    let reference = only(document, info, "Reference")?;
    let id = document.get_attribute(parent, "ID").filter(|id| !id.is_empty()).ok_or(odd)?;
    let uri = document.get_attribute(reference, "URI").ok_or(odd)?;
    if uri.strip_prefix('#') != Some(id) {
        return Err(odd);
    }
    let transforms = only(document, reference, "Transforms")?;
    for transform in children(document, transforms, (DSIG, "Transform")) {
        let algorithm = document.get_attribute(transform, "Algorithm").unwrap_or_default();
        if !TRANSFORMS.contains(&algorithm) {
            return Err(odd);
        }
    }
    Ok(id.to_owned())
}

/// Whether a pinned key signed a query.
pub(crate) fn query_is_signed(decoded: &RedirectDecoded, certificates: &[Vec<u8>]) -> Result<(), Refused> {
    if decoded.signature.is_none() {
        return Err(Refused::Signature("nothing in it is signed"));
    }
    let mut refused = Refused::Signature("no registered key made a signature in it");
    for verifier in certificates.iter().filter_map(|certificate| verifier(certificate)) {
        let algorithm = decoded.sig_alg.as_deref().unwrap_or_default();
        if !verifier.algorithm_policy().allows_signature_algorithm(algorithm) {
            refused = Refused::Algorithm;
        } else if redirect_verify_signature(decoded, &verifier).is_ok_and(|holds| holds) {
            return Ok(());
        }
    }
    Err(refused)
}
