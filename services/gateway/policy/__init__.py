"""The policy as people read it: pages and JSON made from the document in force and the evidence of the last minutes."""
