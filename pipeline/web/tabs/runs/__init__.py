"""The Runs tab: run folders by their pictures."""
