"""The rules of retention; nothing here knows a wire or a store."""
