"""What is told to people: what differs and what breaks conventions, in words, with what that is based on."""
