"""IMAP4rev1 as the toy server speaks it (RFC 3501)."""
