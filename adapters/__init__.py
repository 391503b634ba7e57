"""The partners' dialects, a package each. They never import one another."""
