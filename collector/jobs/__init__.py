"""What runs when. A job reads what is new in the store, asks `analyse`, and writes rows back."""
