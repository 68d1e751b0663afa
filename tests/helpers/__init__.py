"""Stand-in servers, small models and odd files that several tests share."""
