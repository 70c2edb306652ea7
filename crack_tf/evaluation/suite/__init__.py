"""The evaluation suite: every figure that the shipped models are judged by, from one command that goes on after a stop."""
