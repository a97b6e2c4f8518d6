"""Mail out: takes mail from the people and programs that may send, and brings it to its recipients.

Owns: the outbound queue (sealed), with copies of incoming mail that are forwarded; suppression lists, delivery events,
sender domains, webhooks, limits of senders; the letters of the platform itself.
Calls: accounts, crypto, storage; billing for the room of mailboxes.
Emits: delivery.queued.v1; mail.delivered.v1, one for each recipient who got a mail through the relay.
Never sees: private keys, passwords; of opens and clicks, who.
"""
