//! Keys and fixed values of a document, read from its JSON Schema: one description serves editors of both kinds.

use super::place::Step;
use crate::schema;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The schema nodes that describe one place; several where a value may have several shapes.
#[derive(Debug)]
pub(crate) struct Shapes {
    root: &'static Value,
    nodes: Vec<&'static Value>,
}

impl Shapes {
    /// Those at a place of a document of that kind; none for an unknown kind.
    pub(crate) fn at(kind: &str, steps: &[Step]) -> Option<Self> {
        let root = documents().get(format!("{kind}.schema.json").as_str())?;
        let mut shapes = Self { root, nodes: Vec::new() };
        shapes.nodes = shapes.alternatives(root, 0);
        for step in steps {
            let next: Vec<&Value> = shapes.nodes.iter().filter_map(|node| child(node, step)).collect();
            shapes.nodes = next.into_iter().flat_map(|node| shapes.alternatives(node, 0)).collect();
        }
        Some(shapes)
    }

    /// The keys a mapping here may have, with what they are for.
    pub(crate) fn keys(&self) -> BTreeMap<&'static str, String> {
        let mut keys = BTreeMap::new();
        for node in &self.nodes {
            for (key, value) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
                keys.insert(key.as_str(), self.described(value));
            }
        }
        keys
    }

    /// The fixed values a scalar here may have.
    pub(crate) fn values(&self) -> Vec<&'static str> {
        let lists = self.nodes.iter().filter_map(|node| node.get("enum").and_then(Value::as_array));
        let mut values: Vec<&str> = lists.flatten().filter_map(Value::as_str).collect();
        if self.nodes.iter().any(|node| node.get("type").is_some_and(|kind| kind == "boolean")) {
            values.extend(["true", "false"]);
        }
        values
    }

    /// What stands here, in words.
    pub(crate) fn description(&self) -> Option<String> {
        self.nodes.iter().map(|node| self.described(node)).find(|text| !text.is_empty())
    }

    /// Whether a mapping may stand here.
    pub(crate) fn has_mapping(&self) -> bool {
        self.nodes.iter().any(|node| node.get("properties").is_some())
    }

    fn described(&self, node: &'static Value) -> String {
        let own = |node: &'static Value| node.get("description").and_then(Value::as_str);
        let text = own(node).or_else(|| self.target(node).and_then(own));
        text.unwrap_or_default().to_owned()
    }

    fn target(&self, node: &'static Value) -> Option<&'static Value> {
        self.root.pointer(node.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    /// References and unions resolved. The depth bound only matters for a schema that refers to itself.
    fn alternatives(&self, node: &'static Value, depth: usize) -> Vec<&'static Value> {
        if depth > 16 {
            return Vec::new();
        }
        let mut found = vec![node];
        if let Some(target) = self.target(node) {
            found.extend(self.alternatives(target, depth + 1));
        }
        for union in ["anyOf", "oneOf"] {
            for part in node.get(union).and_then(Value::as_array).into_iter().flatten() {
                found.extend(self.alternatives(part, depth + 1));
            }
        }
        found
    }
}

fn child(node: &'static Value, step: &Step) -> Option<&'static Value> {
    match step {
        Step::Item => node.get("items"),
        Step::Key(key) => node
            .get("properties")
            .and_then(|properties| properties.get(key))
            .or_else(|| node.get("additionalProperties").filter(|rest| rest.is_object())),
    }
}

fn documents() -> &'static BTreeMap<&'static str, Value> {
    static DOCUMENTS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    DOCUMENTS.get_or_init(schema::schemas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(steps: &[&str]) -> Vec<Step> {
        let step = |step: &&str| if *step == "[]" { Step::Item } else { Step::Key((*step).to_owned()) };
        steps.iter().map(step).collect()
    }

    #[test]
    fn keys_and_values_follow_the_schema_through_references_and_unions() {
        let grant = Shapes::at("policy", &way(&["grants", "[]"])).unwrap();
        assert!(grant.keys().contains_key("rows"));
        let verbs = Shapes::at("policy", &way(&["grants", "[]", "allow", "[]"])).unwrap();
        assert!(verbs.values().contains(&"truncate"));
        let masks = Shapes::at("policy", &way(&["masks", "[]", "with"])).unwrap();
        assert!(masks.values().contains(&"credit_card") && masks.keys().contains_key("partial"));
        let units = Shapes::at("policy", &way(&["masks", "[]", "with", "truncate"])).unwrap();
        assert!(units.values().contains(&"quarter"));
        let database = Shapes::at("project", &way(&["databases", "shop"])).unwrap();
        assert!(database.keys().contains_key("lock"));
    }

    #[test]
    fn nothing_is_known_outside_the_grammar() {
        assert!(Shapes::at("poem", &[]).is_none());
        assert!(Shapes::at("policy", &way(&["nothing"])).unwrap().keys().is_empty());
    }
}
