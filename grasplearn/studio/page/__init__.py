"""The page itself: HTML, style sheet and scripts, as the server hands them out."""
