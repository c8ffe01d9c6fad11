//! `daam policy build --check`: whether these files are what a bundle was made from.

use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use daam_bundle::{Statement, StatementInput, UnsignedBundle, build, encode_content};
use daam_compiler::effects::{Side, effects_sha256};
use daam_compiler::{Checked, CompiledDatabase};
use daam_model::PolicySet;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Compares with a file or a digest; says what differs.
pub(super) fn run(written: &str, database: Option<&str>, checked: &Checked) -> Result<ExitCode, CliError> {
    let is_digest = written.len() == 64 && written.chars().all(|c| c.is_ascii_hexdigit());
    let differences = if is_digest {
        let database = super::super::ask::database(database, &checked.databases)?;
        with_digest(&written.to_ascii_lowercase(), database)?
    } else {
        let doing = format!("read the bundle `{written}`");
        let bytes = std::fs::read(Path::new(written)).doing(&doing)?;
        let bundle = UnsignedBundle::from_bytes(&bytes).doing(&doing)?;
        let name = bundle.statement().database.clone();
        if database.is_some_and(|wanted| wanted != name) {
            return Err(CliError::usage(format!("`{written}` is a bundle of `{name}`"))
                .remedy("leave `--database` out, or name that one"));
        }
        let database = super::super::ask::database(Some(&name), &checked.databases)?;
        with_bundle(&bundle, database, &super::compiler())?
    };
    if differences.is_empty() {
        output::line("the same: these files make that bundle");
        return Ok(ExitCode::SUCCESS);
    }
    for difference in differences {
        output::line(difference);
    }
    Ok(Exit::Findings.into())
}

fn with_digest(digest: &str, database: &CompiledDatabase) -> Result<Vec<String>, CliError> {
    // Only digests are compared, so any place in the order does.
    let effects = effects_sha256(&Side::of(database));
    let built = rebuilt(database, &placeholder(&effects, database))?;
    let content = &built.statement().content.sha256;
    if [content.as_str(), effects.as_str()].contains(&digest) {
        return Ok(Vec::new());
    }
    Ok(vec![
        format!("content: {content}"),
        format!("effects: {effects}"),
        format!("neither is {digest}; the digest of a statement can only be compared with its bundle"),
    ])
}

fn placeholder(effects: &str, database: &CompiledDatabase) -> StatementInput {
    StatementInput {
        org: "check".to_owned(),
        epoch: 1,
        serial: 1,
        prev: None,
        effects_sha256: effects.to_owned(),
        lock_sha256: database.lock_fingerprint(),
        issued_at: 0,
        not_before: 0,
        expires_at: 1,
        requires: Vec::new(),
        min_agent: super::OLDEST_AGENT.to_owned(),
        compiler: String::new(),
        source: daam_bundle::Source::default(),
        rollback_of: None,
        trust_version: 1,
    }
}

fn rebuilt(database: &CompiledDatabase, input: &StatementInput) -> Result<UnsignedBundle, CliError> {
    build(&database.policies, input.clone()).doing("build the bundle again")
}

/// What differs between a bundle and what that compiler makes of the files in its place.
pub(in crate::policy) fn with_bundle(
    bundle: &UnsignedBundle,
    database: &CompiledDatabase,
    compiler: &str,
) -> Result<Vec<String>, CliError> {
    let theirs = bundle.statement();
    let effects = effects_sha256(&Side::of(database));
    let input = StatementInput {
        org: theirs.org.clone(),
        epoch: theirs.epoch,
        serial: theirs.serial,
        prev: theirs.prev.clone(),
        effects_sha256: effects,
        lock_sha256: database.lock_fingerprint(),
        issued_at: theirs.issued_at,
        not_before: theirs.not_before,
        expires_at: theirs.expires_at,
        requires: Vec::new(),
        min_agent: theirs.min_agent.clone(),
        compiler: compiler.to_owned(),
        source: theirs.source.clone(),
        rollback_of: theirs.rollback_of,
        trust_version: theirs.trust_version,
    };
    let built = rebuilt(database, &input)?;
    if built.statement_sha256() == bundle.statement_sha256() {
        return Ok(Vec::new());
    }
    let mut differences = fields(built.statement(), theirs);
    if built.statement().content.sha256 != theirs.content.sha256 {
        let held = bundle.policies().doing("read the policies of the bundle")?;
        differences.extend(policies(&database.policies, &held));
    }
    Ok(differences)
}

/// The fields of the statement that come from the files and from the compiler.
fn fields(ours: &Statement, theirs: &Statement) -> Vec<String> {
    let pairs = [
        ("content", &ours.content.sha256, &theirs.content.sha256),
        ("effects", &ours.effects_sha256, &theirs.effects_sha256),
        ("schema lock", &ours.lock_sha256, &theirs.lock_sha256),
        ("compiler", &ours.compiler, &theirs.compiler),
    ];
    let differ = pairs.into_iter().filter(|(_, ours, theirs)| ours != theirs);
    let mut found: Vec<String> =
        differ.map(|(name, ours, theirs)| format!("{name}: {ours} here, {theirs} in the bundle")).collect();
    if ours.requires != theirs.requires {
        found.push(format!("requires: {:?} here, {:?} in the bundle", ours.requires, theirs.requires));
    }
    found
}

/// Which policies are not the same.
fn policies(ours: &PolicySet, theirs: &PolicySet) -> Vec<String> {
    let (here, there) = (by_name(ours), by_name(theirs));
    let mut found = Vec::new();
    for (name, bytes) in &here {
        match there.get(name) {
            None => found.push(format!("{name}: only here")),
            Some(other) if other != bytes => found.push(format!("{name}: not the same")),
            Some(_) => {}
        }
    }
    found.extend(
        there
            .keys()
            .filter(|name| !here.contains_key(*name))
            .map(|name| format!("{name}: only in the bundle")),
    );
    if found.is_empty() {
        found.push("attributes or groups are not the same".to_owned());
    }
    found
}

fn by_name(set: &PolicySet) -> BTreeMap<String, Vec<u8>> {
    let none = PolicySet { database: set.database.clone(), ..PolicySet::default() };
    let policies = set.policies.iter().map(|policy| {
        let alone = PolicySet { policies: vec![policy.clone()], ..none.clone() };
        (format!("policy `{}`", policy.name), encode_content(&alone))
    });
    let ceilings = set.ceilings.iter().map(|ceiling| {
        let alone = PolicySet { ceilings: vec![ceiling.clone()], ..none.clone() };
        (format!("request ceiling `{}`", ceiling.name), encode_content(&alone))
    });
    policies.chain(ceilings).collect()
}
