"""The read API: `routes` answers, `client` asks. The only way to the store from outside its process."""
