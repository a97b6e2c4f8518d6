"""The rules of billing: prices, counters, books, invoices; nothing of wires or stores."""
