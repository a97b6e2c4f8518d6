"""What people may ask of us about their own data, and what officers and operators do about it."""
