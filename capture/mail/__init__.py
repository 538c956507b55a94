"""What a message says: MIME parts, headers, charsets."""
