"""What a user would write with a library, to find logins in a capture file."""
