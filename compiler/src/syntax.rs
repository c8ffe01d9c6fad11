//! Documents as written: YAML trees, then one typed reader per `kind`. Readers report and carry on.

pub(crate) mod ceiling;
pub(crate) mod classification;
pub(crate) mod confusable;
pub(crate) mod decode;
pub(crate) mod directory;
pub(crate) mod group;
pub(crate) mod lint;
pub(crate) mod mask;
pub(crate) mod node;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod scalar;
pub(crate) mod scenario;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod suppression;
pub(crate) mod yaml;
