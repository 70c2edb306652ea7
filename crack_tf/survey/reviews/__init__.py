"""An engineer's verdict on findings."""
