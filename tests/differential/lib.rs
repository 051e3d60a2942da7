//! No library: the package is there for what its cases depend on.
