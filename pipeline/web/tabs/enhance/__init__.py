"""The Enhance tab: search, masks, re-renders."""
