"""Test vectors: data, and the scripts that made them."""
