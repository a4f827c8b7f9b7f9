"""Mixed-integer programs: generated families and files."""
