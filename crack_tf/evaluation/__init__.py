"""How good a model is: on tiles, on maps, pixel by pixel, at which threshold, how sure; the suite."""
