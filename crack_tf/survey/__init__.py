"""From a flight's photographs to findings an engineer can act on. `crack-tf survey` is its command line."""
