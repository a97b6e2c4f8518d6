import { describe, expect, it } from "vitest";
import { runsWhenOpened, safeFileName } from "../src/mail/filename";
import { mixesScripts, readTarget } from "../src/mail/links";
import { hostToUnicode } from "../src/mail/punycode";

describe("file names", () => {
  it.each([
    ["plan.pdf", "plan.pdf"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["C:\\Windows\\system32.dll", "C__Windows_system32.dll"],
    ["invoice\u202efdp.exe", "invoicefdp.exe"],
    ["a\r\nb\u0000.txt", "ab.txt"],
    ["CON.txt", "_CON.txt"],
    ["...hidden...", "hidden"],
    ["", "attachment"],
    [" . ", "attachment"],
    ["Grüße 2026.txt", "Grüße 2026.txt"],
    ["\u{1F4EE}".repeat(200) + ".pdf", "\u{1F4EE}".repeat(58) + ".pdf"],
  ])("%j becomes %j", (name, safe) => {
    expect(safeFileName(name)).toBe(safe);
  });

  it("tells what can run programs, in disguise too", () => {
    for (const name of ["a.exe", "photo.jpg.scr", "x.docm", "page.html", "invoice\u202efdp.exe", "a.exe. "]) {
      expect(runsWhenOpened(name)).toBe(true);
    }
    expect(runsWhenOpened("report.pdf")).toBe(false);
  });
});

describe("punycode", () => {
  it.each([
    ["xn--mnchen-3ya.example", "münchen.example"],
    ["xn--80ak6aa92e.com", "аррӏе.com"],
    ["xn--wgv71a119e.example", "日本語.example"],
    ["xn--ihqwcrb4cv8a8dqg056pqjye.example", "他们为什么不说中文.example"],
    ["example.org", "example.org"],
    ["xn--!!!.example", "xn--!!!.example"],
    ["xn--99999999999999999.example", "xn--99999999999999999.example"],
  ])("%s is %s", (ascii, unicode) => {
    expect(hostToUnicode(ascii)).toBe(unicode);
  });
});

describe("links", () => {
  const marks = (href: string, text = "") => readTarget(href, text)?.marks;

  it.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "//evil.test/x",
    "/v1/session",
    "#x",
    "file:///etc/passwd",
    "blob:x",
    "java\nscript:alert(1)",
    " \u0001javascript:x",
    "https:evil",
    "about:blank",
    "",
  ])("%j is no link", (href) => {
    expect(readTarget(href)).toBeNull();
  });

  it("shows hosts in ASCII and their own letters beside", () => {
    expect(readTarget("https://MÜNCHEN.example/ä")).toMatchObject({
      host: "xn--mnchen-3ya.example",
      unicodeHost: "münchen.example",
      marks: [],
    });
    expect(readTarget("mailto:a%40b@x.test?subject=x")).toMatchObject({ kind: "mail", host: "a@b@x.test" });
    expect(readTarget("ht\ntps://example.org")).toMatchObject({ host: "example.org" });
  });

  it("marks what deceives", () => {
    expect(marks("https://xn--80ak6aa92e.com/")).toContain("look-alike");
    expect(marks("https://pаypal.com/")).toContain("mixed-script");
    expect(marks("https://ѕсоре.example/")).toContain("look-alike");
    expect(marks("https://evil.test/", "https://bank.example/login")).toContain("other-host");
    expect(marks("https://evil.test/", "bank.example")).toContain("other-host");
    expect(marks("https://www.bank.example/", "bank.example")).toEqual([]);
    expect(marks("https://bank.example/", "Click here.")).toEqual([]);
    expect(marks("https://192.0.2.1/")).toContain("ip-address");
    expect(marks("https://[2001:db8::1]/")).toContain("ip-address");
    expect(marks("https://0x7f.1/")).toContain("ip-address");
    expect(marks("https://bank.example@evil.test/")).toContain("user-info");
    expect(marks("https://example.org:8443/")).toEqual(["port"]);
  });

  it("knows which scripts belong together", () => {
    expect(mixesScripts("日本語カタカナabc")).toBe(false);
    expect(mixesScripts("한국漢字")).toBe(false);
    expect(mixesScripts("münchen-2026")).toBe(false);
    expect(mixesScripts("gооgle")).toBe(true);
    expect(mixesScripts("αβγabc")).toBe(true);
  });
});
