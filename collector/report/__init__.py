"""What is told to people: findings in words, with what they are based on. Reads the store, decides nothing anew."""
