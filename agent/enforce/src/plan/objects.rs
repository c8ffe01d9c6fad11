//! Which very objects the names of a plan stand for.
//!
//! Privileges belong to objects, not to names. A table that was dropped and made again has none of those its namesake
//! had, one that was renamed takes them along under its new name, and so does a column. Roles named after the objects,
//! too, are other roles then: sessions move to them as they move to another policy.

use super::SessionPlan;
use super::grants;
use daam_catalog::{FunctionName, RelationName};
use std::collections::BTreeMap;

/// What differs for every relation and function when it is another one, or has other columns, under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// Relations with their columns.
    pub relations: BTreeMap<RelationName, RelationObject>,
    /// Functions.
    pub functions: BTreeMap<FunctionName, String>,
}

/// A relation and its columns by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelationObject {
    /// Its number.
    pub oid: u32,
    /// Its columns. With their names: a privilege stays with the column that another one takes the name of.
    pub columns: Vec<(i32, String)>,
}

impl RelationObject {
    fn text(&self) -> String {
        let columns = self.columns.iter().map(|(number, name)| format!(",{number}:{name:?}"));
        std::iter::once(self.oid.to_string()).chain(columns).collect()
    }
}

impl SessionPlan {
    /// The same plan with roles for these very objects.
    #[must_use]
    pub fn tied_to(mut self, objects: &Objects) -> Self {
        for (name, table) in &mut self.protected {
            let named = std::iter::once(name).chain(&table.filter_relations);
            let known = named.filter_map(|name| Some((name.clone(), objects.relations.get(name)?.clone())));
            table.objects = known.collect();
        }
        let texts: BTreeMap<&RelationName, String> =
            objects.relations.iter().map(|(name, object)| (name, object.text())).collect();
        let relation = |name: &RelationName| texts.get(name).map(String::as_str);
        let function = |name: &FunctionName| objects.functions.get(name).map(String::as_str);
        let filters = || self.protected.values().flat_map(|table| &table.filter_functions);
        // Of protected tables the permission role holds little, but what it holds is theirs.
        let held = self.direct.keys().chain(self.protected.keys()).filter_map(relation);
        let called = self.functions.iter().chain(filters()).filter_map(function);
        let permission: Vec<&str> = held.chain(called).collect();
        let read = self.protected.values().flat_map(|table| &table.filter_relations);
        let seen = self.protected.keys().chain(read).filter_map(relation);
        let owner: Vec<&str> = seen.chain(filters().filter_map(function)).collect();
        let permission_role = grants::role_name("daam_p_", &self.permission_grants, &permission);
        let view_owner = grants::role_name("daam_v_", &self.view_owner_grants, &owner);
        self.permission_role = permission_role;
        self.view_owner = self.view_owner.is_some().then_some(view_owner);
        self
    }
}
