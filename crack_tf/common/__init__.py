"""What every room may use: progress lines, where a result came from, archives that are unpacked safely."""
