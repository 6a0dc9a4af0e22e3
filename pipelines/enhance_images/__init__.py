"""Super-resolution: from small pictures to larger ones."""
