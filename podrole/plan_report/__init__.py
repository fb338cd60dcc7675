"""A plan as text, JSON or HTML. Plans are made in `podrole.planning`."""
