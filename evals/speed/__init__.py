"""What KeyScore costs beside what a user would do instead; see README.md."""
