"""Files, threads, arrays and text that several packages need."""
