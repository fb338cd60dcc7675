"""A hostile tenant and its surroundings: injectors with their memory limit, a good tenant, and hostile objects."""
