"""A page to try sentences on: what each freeze depth says of one, why, and what that depth cost."""
