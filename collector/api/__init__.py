"""The read API: the only way to the store from outside its process. `collector.client` asks it."""
