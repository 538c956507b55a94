"""What the pytest plugin taps, asks and tells; its hooks and fixtures are in `mailtap.demo.plugin`."""
