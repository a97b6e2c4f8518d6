"""How the services are: scraped from their metrics, kept in memory for an hour."""
