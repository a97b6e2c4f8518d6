"""The rules of accounts. Imports no grpc, no engine and no environment: what is kept stands behind `ports`."""
