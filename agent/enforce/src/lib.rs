//! daam-enforce: policy to SQL, no database.
