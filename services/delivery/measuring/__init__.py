"""Opens and clicks, counted without a record of who did: links in mails, and who does not want to be counted."""
