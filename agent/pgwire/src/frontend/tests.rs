//! Tests of `frontend`.
