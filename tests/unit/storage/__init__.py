"""Tests of services/storage, on a SQLite store in a temporary directory."""
