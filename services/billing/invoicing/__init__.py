"""Invoices and credit notes: drafted from a month's plan and use, numbered without a gap, booked, shown."""
