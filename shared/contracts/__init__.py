"""What crosses a border: messages, envelope, identities and topics. Knows pydantic alone."""
