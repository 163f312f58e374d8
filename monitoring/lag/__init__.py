"""How far each layer is behind what it reads."""
