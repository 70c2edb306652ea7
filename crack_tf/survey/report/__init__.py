"""One HTML file that an engineer opens in a browser: its page and the parts of it."""
