"""Takes mails from the queue and brings them to their recipients."""
