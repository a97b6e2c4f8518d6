"""Events between services: committed inside the document they announce, published by a relay, consumed once by id."""
