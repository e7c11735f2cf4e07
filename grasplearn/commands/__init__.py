"""The commands, a module each; ``common`` is what they share."""
