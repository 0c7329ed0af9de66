"""What systems of one family share: each folder is the kit that its plugins start from."""
