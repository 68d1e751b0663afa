"""The three stages: generate, detect and mask, re-render. They know no files and no settings."""
