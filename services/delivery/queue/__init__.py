"""The outbound queue on libs.docstore: what waits, sealed, and the trail of what is settled."""
