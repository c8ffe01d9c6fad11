//! daam-compiler: YAML to diagnostics and bundle content.
