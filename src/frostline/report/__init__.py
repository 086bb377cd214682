"""What runs left → the answer: tables, a paired bootstrap, pictures, one page; reads files alone."""
