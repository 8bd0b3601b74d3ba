"""Hot loops in C11 behind one typed Python face."""
