"""The project's own objects and table textures, and the program that makes them."""
