"""The teaching page: a server that only passes on, and a process that simulates and learns.

``server`` has the routes, ``messages`` what they are sent, ``live`` what pages are told;
``security`` says who may ask, ``jobs`` keeps the queue, ``state`` the library's folder, and ``hub``
knows it all. In the other process ``simulator`` takes orders, ``table`` sets the scene,
``workbench`` teaches and ``trying`` holds the trials. What travels between them are plain values.
"""
