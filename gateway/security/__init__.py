"""Everything that touches a key or a certificate. Verifying raises; it never returns False."""
