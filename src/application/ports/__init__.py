"""The ports: what the use cases need from the outside, named by role. Adapters inherit them."""
