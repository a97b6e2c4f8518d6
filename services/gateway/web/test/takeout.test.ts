import { describe, expect, it } from "vitest";
import { asctime, quoted } from "../src/state/takeout";

const HEAD = { received: "2026-11-03T04:05:06Z", folder: "inbox" } as const;

describe("mbox", () => {
  it("begins each mail with a line that programs find, and ends it with an empty one", () => {
    expect(quoted(HEAD, "Subject: a\r\n\r\nhello\r\n")).toBe(
      "From sealed@localhost Tue Nov  3 04:05:06 2026\nX-Sealpost-Folder: inbox\nSubject: a\n\nhello\n\n",
    );
  });

  it("ends a mail without a line end all the same", () => {
    expect(quoted(HEAD, "A: b\n\nno end").endsWith("\nno end\n\n")).toBe(true);
  });

  it.each([
    ["From here", ">From here"],
    [">From here", ">>From here"],
    [">>>From here", ">>>>From here"],
    ["from here", "from here"],
    [" From here", " From here"],
    ["Fromage", "Fromage"],
  ])("%j is written as %j, which can be taken back", (line, written) => {
    expect(quoted(HEAD, `A: b\r\n\r\n${line}\r\n`)).toContain(`\n\n${written}\n`);
  });

  it.each([
    ["2026-11-23T04:00:00Z", "Mon Nov 23 04:00:00 2026"],
    ["2024-02-09T23:59:59Z", "Fri Feb  9 23:59:59 2024"],
  ])("%s is %s", (time, written) => {
    expect(asctime(new Date(time))).toBe(written);
  });
});
