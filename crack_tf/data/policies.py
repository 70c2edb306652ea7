"""How a data set is cut into splits: the words of `--policy`, apart from the code that cuts, so that `--help` stays fast."""

from __future__ import annotations

POLICIES = ("grouped", "plain", "folders")
POLICY_HELP = (
    "of the split, when there is no manifest: grouped (no copy on two sides), plain, or folders (as folders named train, valid, test "
    "have it); default: folders where there are such, else grouped"
)
