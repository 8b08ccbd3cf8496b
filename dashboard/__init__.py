"""The Streamlit dashboard. Sees the collector only through `collector.client` and `collector.model`."""
