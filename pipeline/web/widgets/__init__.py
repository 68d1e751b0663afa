"""Interface components that several tabs share."""
