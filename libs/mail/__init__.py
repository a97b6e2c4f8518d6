"""Reading mail: bounded, from untrusted bytes, and the envelope that lists are shown from."""
