"""Speed: pictures a second, and the time to the first one."""
