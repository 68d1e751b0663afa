"""From arguments to run folders: shots through the stages, files, reports, commands."""
