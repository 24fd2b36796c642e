"""The only way out of Navi: every call to the outside is checked, bounded and made here."""
