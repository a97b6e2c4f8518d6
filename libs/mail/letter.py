"""A mail that has arrived, with its header found and read once for everybody who looks at it.

Where the header exceeds the bounds - 1 MiB, 1,000 fields - it is not read at all: the mail has no fields then, and only
what works on raw bytes (trace) still sees it.
"""

from __future__ import annotations

from libs.mail.fields import MAX_BLOCK_BYTES, MAX_FIELDS, Fields, begins_with_field, block_end, count_fields


class Letter:
    """The content of a mail, where its header ends and its body begins, and its fields if they are `readable`."""

    __slots__ = ("body", "content", "fields", "has_header", "header_end", "readable")

    def __init__(self, content: bytearray) -> None:
        """Find the header of `content` and read it, if it is within the bounds."""
        self.content = content
        self.has_header = begins_with_field(content)
        end = len(content)
        # Where the mail begins with something else, all of it is body.
        self.header_end = block_end(content, 0, end) if self.has_header else 0
        self.body = min(self.header_end + 2, end) if self.has_header or content[:2] == b"\r\n" else 0
        fields = count_fields(content, 0, self.header_end)
        self.readable = self.header_end <= MAX_BLOCK_BYTES and fields <= MAX_FIELDS
        self.fields = Fields(bytes(content[: self.header_end]) if self.readable else b"")

    def from_domain(self) -> str:
        """Return the domain of the only address of the only From field, lower-case; "" if that is not what there is."""
        if len(self.fields.all(b"from")) != 1:
            return ""
        senders = self.fields.addresses(b"from")
        return senders[0].address.rpartition("@")[2].lower() if len(senders) == 1 else ""
