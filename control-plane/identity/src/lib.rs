//! daam-identity: certificates, principals and relay tickets; no HTTP, no database.
