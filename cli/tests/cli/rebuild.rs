//! `policy verify --rebuild`: a signature says who, the commit says what.

use crate::policy::{POLICY, expect, trusted, write};
use crate::policy_check::{git, repository};

#[test]
fn a_bundle_is_rebuilt_from_the_commit_it_names_and_not_from_the_working_tree() {
    let scratch = trusted();
    let root = scratch.path();
    write(root, ".gitignore", "*.daam\n*.key\n");
    repository(root);
    expect(root, 0, "policy build --trust trust.json");
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    write(root, "policies/support.yaml", "not: a policy\n");
    let verify = "policy verify shop.daam --trust trust.json --database shop --state head.json";
    let said = expect(root, 0, &format!("{verify} --rebuild ."));
    assert!(said.contains("rebuilt: ") && said.contains("accepted: serial 1"), "{said}");
}

#[test]
fn what_was_signed_without_review_is_not_what_the_commit_makes() {
    let scratch = trusted();
    let root = scratch.path();
    write(root, ".gitignore", "*.daam\n*.key\n");
    repository(root);
    write(root, "policies/support.yaml", &POLICY.replace("with: email", "with: hash"));
    write(root, "tests/support.yaml", "");
    expect(root, 0, "policy build --trust trust.json");
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    let verify = "policy verify shop.daam --trust trust.json --database shop --state head.json";
    let said = expect(root, 1, &format!("{verify} --rebuild ."));
    assert!(said.contains("content: ") && said.contains("policy `support`: not the same"), "{said}");
    assert!(said.contains("uncommitted changes") && !said.contains("accepted"), "{said}");
    assert!(!root.join("head.json").exists(), "what is not accepted is not remembered");
    git(root, &["add", "."]);
    git(root, &["commit", "-q", "-m", "later"]);
    expect(root, 0, &format!("{verify} --rebuild .@HEAD"));
    expect(root, 2, &format!("{verify} --rebuild .@no-such-commit"));
}
