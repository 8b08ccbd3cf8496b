"""The Streamlit dashboard. Sees the collector only through `collector.api.client` and `collector.model`."""
