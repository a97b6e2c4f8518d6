import { describe, expect, it } from "vitest";
import { fromBase64, fromUtf8, utf8 } from "../src/lib/encoding";
import { base64Lines, buildMail, buildProtected, wrapEncrypted } from "../src/mail/build";
import { decodeContent, decodeMail } from "../src/mail/decode";
import { draftOf } from "../src/mail/draft";
import { fromFlowed, quote, toFlowed } from "../src/mail/flowed";
import { newMessageId, type Letter } from "../src/mail/letter";

const letter = (change: Partial<Letter> = {}): Letter => ({
  from: { name: "Ada Lovelace", address: "ada@sealpost.test" },
  to: [{ name: "Bob", address: "bob@sealpost.test" }],
  cc: [],
  bcc: [],
  subject: "Hello",
  text: "One line.\n",
  enclosures: [],
  date: "2026-11-22T17:00:00Z",
  messageId: "<abc@sealpost.test>",
  inReplyTo: "",
  references: [],
  ...change,
});
const written = async (change: Partial<Letter> = {}) => fromUtf8(await buildMail(letter(change)));
const read = async (change: Partial<Letter>, own = false) => {
  const notes = { answers: "", sentTo: [] };
  return decodeMail(await buildMail(letter(change), own ? notes : null));
};

describe("the mail that is built", () => {
  it("is what RFC 5322 asks for, and nothing more", async () => {
    expect(await written()).toBe(
      [
        "Date: Sun, 22 Nov 2026 17:00:00 +0000",
        "From: Ada Lovelace <ada@sealpost.test>",
        "To: Bob <bob@sealpost.test>",
        "Subject: Hello",
        "Message-ID: <abc@sealpost.test>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8; format=flowed",
        "Content-Transfer-Encoding: 7bit",
        "",
        "One line.",
        "",
      ].join("\r\n"),
    );
  });

  it.each([
    ["plain words"],
    ["Grüße aus Köln, 漢字 und 🦊, so lang, dass mehr als ein Wort daraus wird: äöüäöüäöüäöüäöü"],
    ["=?UTF-8?B?bm90IGVuY29kZWQ=?="],
    ["x".repeat(400)],
    ["many short words ".repeat(29).trim()],
    ["two  blanks   stay"],
  ])("brings the subject %j through", async (subject) => {
    const { view } = await read({ subject });
    expect(view.subject).toBe(subject);
  });

  it.each([["Ada"], ["Lovelace, Ada"], ['The "Countess"'], ["Зоя Ивановна"], ["a@b"], ["O'Hara (home)"]])(
    "brings the name %j through",
    async (name) => {
      const { view } = await read({ to: [{ name, address: "x@y.example" }, ...letter().to] });
      expect(view.to[0]).toEqual({ name, address: "x@y.example" });
      expect(view.to[1]?.address).toBe("bob@sealpost.test");
    },
  );

  it("lets no value begin a field of its own", async () => {
    const mail = await written({
      subject: "a\r\nBcc: evil@x.example\nX: y",
      to: [{ name: "n\r\nX-Evil: 1", address: "bob@sealpost.test\r\nX-Evil: 2" }],
      inReplyTo: "<a@b>\r\nX-Evil: 3",
      enclosures: [{ name: 'a"\r\nX-Evil: 4', type: "text/html\r\nX-Evil: 5", content: new Blob(["x"]) }],
    });
    expect(mail).not.toMatch(/^(Bcc|X|X-Evil):/im);
  });

  it("never tells a blind recipient to the others, and always to the writer", async () => {
    const bcc = [{ name: "Eve", address: "eve@sealpost.test" }];
    expect(await written({ bcc })).not.toMatch(/eve/i);
    expect(fromUtf8(await buildProtected(letter({ bcc })))).not.toMatch(/eve/i);
    expect(fromUtf8(wrapEncrypted(letter({ bcc }), "x"))).not.toMatch(/eve/i);
    expect((await read({ bcc }, true)).view.bcc).toEqual(bcc);
  });

  it("keeps every line below 998 characters and every line end whole", async () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ name: `Person ${i}`, address: `p${i}@x.example` }));
    const mail = await written({
      to: many,
      subject: "ä".repeat(2000),
      text: "x".repeat(5000) + "\n" + "wörter ".repeat(2000),
      references: Array.from({ length: 20 }, (_, i) => `<${"r".repeat(200)}${i}@x>`),
      enclosures: [{ name: "ä".repeat(300) + ".pdf", type: "", content: new Blob([new Uint8Array(100_000)]) }],
    });
    expect(Math.max(...mail.split("\r\n").map((line) => utf8(line).length))).toBeLessThan(250);
    expect(mail.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  });

  it("brings enclosures through, byte for byte, under their names", async () => {
    const content = Uint8Array.from({ length: 70_001 }, (_, i) => i * 31);
    const names = [
      "plan.pdf",
      "Übersicht für März – ünd noch viel mehr Wörter, die nicht in eine Zeile passen.ods",
      'q"uote.txt',
    ];
    const enclosures = names.map((name) => ({ name, type: "application/pdf", content: new Blob([content]) }));
    const { view, leaves } = await read({ enclosures, text: "See there" });
    expect(view.parts.map((part) => part.name)).toEqual([names[0], names[1], "q_uote.txt"]);
    expect(view.blocks[0]?.text).toBe("See there\n");
    for (const leaf of leaves) expect(await decodeContent(leaf)).toEqual(content);
  });

  it.each([[0], [1], [2], [3], [56], [57], [58], [114], [1000]])("writes %i bytes of base64 in lines", (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    const text = fromUtf8(base64Lines(bytes));
    expect(text.split("\r\n").every((line) => line.length <= 76)).toBe(true);
    expect(fromBase64(text.replaceAll("\r\n", ""))).toEqual(bytes);
  });
});

describe("text", () => {
  it.each([
    [
      "A paragraph that is long enough to be cut into more than one line, since nobody breaks lines while typing today.",
    ],
    ["short\n\n  indented\n> quoted\n>> twice\nFrom here"],
    ["-- \nAda"],
    ["trailing\nÄ line with ümlauts that is long enough to be cut in two by whoever sends it over the wire"],
    ["x".repeat(300)],
    ["tab\there = equals"],
  ])("arrives as typed: %j", async (text) => {
    const { view } = await read({ text });
    expect(view.blocks[0]?.text).toBe(text + "\n");
  });

  it("is wrapped for readers that do not know the format", () => {
    const flowed = toFlowed("word ".repeat(100));
    expect(flowed.split("\r\n").every((line) => line.length <= 78)).toBe(true);
    expect(flowed).toMatch(/word \r\nword/);
  });

  it("is quoted paragraph by paragraph, and its quotation wrapped with its marks", async () => {
    const said = "one\n\n> two\n" + "long ".repeat(30).trim();
    const quoted = quote(said);
    expect(quoted).toBe("> one\n>\n>> two\n> " + "long ".repeat(30).trim());
    const lines = toFlowed(quoted).trimEnd().split("\r\n");
    expect(lines.every((line) => line.startsWith(">") && line.length <= 78)).toBe(true);
    expect((await read({ text: quoted })).view.blocks[0]?.text).toBe(
      "> one\n>\n>> two\n> " + "long ".repeat(30).trim() + "\n",
    );
  });

  it.each([
    ["a \nb\n", false, "a b\n"],
    ["a \nb", true, "ab"],
    ["> a \n> b\n>> c \n> d", false, "> a b\n>> c \n> d"],
    [" >not quoted\n From here\n  two blanks", false, ">not quoted\nFrom here\n two blanks"],
    ["x \n-- \nAda", false, "x \n-- \nAda"],
    [">>a \n>> b", false, ">> a b"],
  ])("flowed %j is read", (text, delSp, read) => {
    expect(fromFlowed(text, delSp)).toBe(read);
  });
});

it("a draft comes back as it was kept, with what was no address yet", async () => {
  const change: Partial<Letter> = {
    to: [
      { name: "Bob", address: "bob@sealpost.test" },
      { name: "", address: "somebo" },
    ],
    bcc: [{ name: "", address: "eve@x.example" }],
    subject: "Half",
    text: "not done",
    inReplyTo: "<1@x>",
    references: ["<0@x>", "<1@x>"],
  };
  const notes = { answers: "0123456789abcdef0123456789abcdef reply", sentTo: ["bob@sealpost.test"] };
  const { view } = await decodeMail(await buildMail(letter(change), notes));
  const { messageId, cc, ...rest } = { ...letter(), ...change };
  expect(draftOf(view)).toEqual({
    to: rest.to,
    cc,
    bcc: rest.bcc,
    subject: rest.subject,
    text: rest.text,
    messageId,
    inReplyTo: rest.inReplyTo,
    references: rest.references,
    notes,
  });
});

it("message ids are unlike each other and say nothing of the time", () => {
  expect(newMessageId("ada@sealpost.test")).toMatch(/^<[0-9a-z]{36}@sealpost\.test>$/);
});
