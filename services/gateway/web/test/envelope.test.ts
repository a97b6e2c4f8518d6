import { describe, expect, it } from "vitest";
import { utf8 } from "../src/lib/encoding";
import { BadEnvelope, decodeEnvelope } from "../src/mail/envelope";

const whole = {
  v: 1,
  from: { name: "Ada", address: "ada@example.org" },
  to: [{ name: "", address: "bob@sealpost.test" }],
  cc: [],
  rcpt: "bob@sealpost.test",
  subject: "Hello",
  date: "2026-11-22T17:00:00Z",
  preview: "first",
  attachments: [{ name: "plan.pdf", type: "application/pdf", size: 12345 }],
  message_id: "<abc@example.org>",
  auth: { spf: "pass", dkim: "pass", dmarc: "pass" },
  encrypted: false,
};
const decode = (value: unknown) => decodeEnvelope(utf8(JSON.stringify(value)));

describe("envelope", () => {
  it("is read as documented", () => {
    expect(decode(whole)).toEqual({
      from: whole.from,
      to: whole.to,
      cc: [],
      rcpt: whole.rcpt,
      subject: "Hello",
      date: whole.date,
      preview: "first",
      attachments: whole.attachments,
      messageId: "<abc@example.org>",
      auth: whole.auth,
      encrypted: false,
      unparsed: false,
      bySender: false,
    });
  });

  it.each([["[]"], ["null"], ["{"], ['{"v":2}'], ["\u0000"], ['"v"']])("refuses %s", (text) => {
    expect(() => decodeEnvelope(utf8(text))).toThrow(BadEnvelope);
  });

  it("refuses what is larger than any envelope", () => {
    expect(() => decode({ ...whole, subject: "x".repeat(70_000) })).toThrow(BadEnvelope);
  });

  it("makes fields of a wrong type empty and cuts what is too long", () => {
    const got = decode({
      ...whole,
      subject: 7,
      from: [],
      to: "x",
      attachments: [3, { name: "a", size: -1 }],
      auth: { spf: "<b>" },
    });
    expect(got.subject).toBe("");
    expect(got.from).toEqual({ name: "", address: "" });
    expect(got.to).toEqual([]);
    expect(got.attachments).toEqual([
      { name: "", type: "", size: 0 },
      { name: "a", type: "", size: 0 },
    ]);
    expect(got.auth).toEqual({ spf: "none", dkim: "none", dmarc: "none" });
    expect(decode({ ...whole, to: Array(500).fill(whole.from) }).to).toHaveLength(50);
    expect(decode({ ...whole, subject: "x".repeat(5000) }).subject).toHaveLength(500);
  });

  it("shows no control character and nothing that turns the text around", () => {
    expect(decode({ ...whole, subject: "a\r\nBcc: b\u202egpj.exe\u0000" }).subject).toBe("a Bcc: b gpj.exe");
  });
});
