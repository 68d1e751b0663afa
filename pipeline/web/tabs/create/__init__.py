"""The Create tab: prompts become checked, re-rendered pictures."""
