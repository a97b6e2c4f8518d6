import { describe, expect, it } from "vitest";
import { addPeople, isAddress, parseAddresses } from "../src/mail/address";

describe("addresses", () => {
  it.each([
    ["ada@x.example", [{ name: "", address: "ada@x.example" }]],
    ["Ada <ada@x.example>", [{ name: "Ada", address: "ada@x.example" }]],
    [
      '"Lovelace, Ada" <ada@x.example>, bob@y.example;\n Eve<eve@z.example>',
      [
        { name: "Lovelace, Ada", address: "ada@x.example" },
        { name: "", address: "bob@y.example" },
        { name: "Eve", address: "eve@z.example" },
      ],
    ],
    ["a@x.example b@x.example\tc@x.example", ["a", "b", "c"].map((n) => ({ name: "", address: `${n}@x.example` }))],
    ["mailto:ada@x.example?subject=x", [{ name: "", address: "ada@x.example" }]],
    ["ada@bücher.example", [{ name: "", address: "ada@xn--bcher-kva.example" }]],
    ["bob", [{ name: "", address: "bob" }]],
    [" , ;\n", []],
    [
      '"open quote <a@b.example>\nnext@x.example',
      [
        { name: '"open quote', address: "a@b.example" },
        { name: "", address: "next@x.example" },
      ],
    ],
  ])("are read from %j", (text, people) => {
    expect(parseAddresses(text)).toEqual(people);
  });

  it.each(["a@b.example", "a.b+c@d-e.example", "o'hara@x.example", "a@xn--bcher-kva.example"])(
    "%s is one",
    (address) => {
      expect(isAddress(address)).toBe(true);
    },
  );

  it.each([
    "",
    "a",
    "@b.example",
    "a@",
    "a@b",
    "a@@b.example",
    "a b@c.example",
    ".a@b.example",
    "a..b@c.example",
    "a@b..example",
    "a@-b.example",
    "a@1.2.3.4",
    "a,b@c.example",
    "<a@b.example>",
    "a@b.example\r\nx",
    `${"x".repeat(65)}@b.example`,
    "ä@b.example",
  ])("%j is none", (address) => {
    expect(isAddress(address)).toBe(false);
  });

  it("are added once, whatever their case", () => {
    const ada = { name: "Ada", address: "Ada@x.example" };
    expect(addPeople([ada], parseAddresses("ada@X.example, bob@x.example, BOB@x.example"))).toEqual([
      ada,
      { name: "", address: "bob@x.example" },
    ]);
  });

  it("are bounded", () => {
    expect(parseAddresses("a@x.example,".repeat(100_000)).length).toBeLessThanOrEqual(500);
  });
});
