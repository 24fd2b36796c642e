"""What upper rooms may want to hear."""

from django.dispatch import Signal

# Sent with project, user, actor and at, inside the transaction that ends the membership.
member_gone = Signal()
