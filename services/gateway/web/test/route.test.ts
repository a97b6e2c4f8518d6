import { afterEach, describe, expect, it } from "vitest";
import { NO_BOOK, noteWritten } from "../src/mail/contacts";
import { book } from "../src/state/keeping";
import { routes, type Route } from "../src/state/recipients";
import { standingOf, summaryOf, type Standing } from "../src/ui/route";

const ada = { name: "", address: "Ada@x.example" };
const route = (change: object): Route => ({
  address: "ada@x.example",
  kind: "member",
  certificate: "AAAA",
  fingerprint: "ff",
  at: 0,
  ...change,
});
const put = (found: Route) => (routes.value = new Map([["ada@x.example", found]]));
const none: ReadonlySet<string> = new Set();

afterEach(() => {
  routes.value = new Map();
  book.value = null;
});

describe("how mail to somebody travels", () => {
  it("is what was found out, and nothing better", () => {
    expect(standingOf(ada, none)).toBe("looking");
    put("failed");
    expect(standingOf(ada, none)).toBe("failed");
    put(route({}));
    expect(standingOf(ada, none)).toBe("member");
    put(route({ certificate: null }));
    expect(standingOf(ada, none)).toBe("open");
    expect(standingOf({ name: "", address: "ada" }, none)).toBe("wrong");
    expect(standingOf(ada, new Set(["ada@x.example"]))).toBe("delivered");
  });

  it("tells of a key that is another than last time", () => {
    put(route({}));
    book.value = noteWritten(NO_BOOK, [{ ...ada, key: "ee" }], 1);
    expect(standingOf(ada, none)).toBe("new-key");
    book.value = noteWritten(book.value, [{ ...ada, key: "ff" }], 2);
    expect(standingOf(ada, none)).toBe("member");
  });
});

describe("the summary", () => {
  const text = (...standings: Standing[]) => summaryOf(standings)?.text ?? "";

  it("says sealed only when all of it is", () => {
    expect(summaryOf([])).toBeNull();
    expect(summaryOf(["member"])?.tone).toBe("sealed");
    expect(text("member", "wkd")).toBe("Sealed for all 2: only they and you can read it.");
    expect(summaryOf(["member", "open"])).toMatchObject({ tone: "open", text: "Travels openly for 1 of 2." });
    expect(text("open", "open")).toBe("Travels openly.");
    expect(text("public", "member", "open")).toBe("Travels openly for 1 of 3. Lands in a public inbox for 1 of 3.");
    expect(text("open", "new-key")).toMatch(/^Travels openly for 1 of 2\. Sealed to another key/);
    expect(summaryOf(["new-key"])?.tone).toBe("open");
  });

  it.each([["looking"], ["failed"], ["unknown"], ["wrong"]] as Standing[][])("does not when somebody is %s", (one) => {
    expect(summaryOf(["member", one!])?.tone).not.toBe("sealed");
  });
});
