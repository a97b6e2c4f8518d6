"""What accounts use, what they may use, and what they owe.

Owns: counters of use, allowances granted, each account's book of credits and debts, invoices, payments.
Calls: storage for how much mailboxes hold, delivery for the platform's own letters; a payment provider outside, where
one is set.
Emits: nothing; it hears mail.stored.v1 and mail.delivered.v1.
Never sees: mail, addresses of mail, data of a card. Who pays is an opaque account; what an invoice must say of somebody
is sealed before it is stored.
"""
