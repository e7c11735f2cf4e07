"""The page itself: HTML, style sheet and script, as the server hands them out."""
