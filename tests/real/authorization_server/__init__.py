"""A vendor's sign-in by django-oauth-toolkit. It runs in a process of its own; Navi's never imports it."""
