import { describe, expect, it } from "vitest";
import { countries } from "../src/lib/countries";
import { digitsOf, minorUnits, money, plainAmount } from "../src/lib/money";

describe("amounts", () => {
  it("are written with the digits of their currency", () => {
    expect(money(357, "EUR", 2).replace(/\s/g, " ")).toMatch(/3[.,]57/);
    expect(money(357, "JPY")).toMatch(/357/);
    expect(money(1, "??")).toBe("0.01 ??");
    expect([digitsOf("EUR"), digitsOf("JPY"), digitsOf("KWD"), digitsOf("?")]).toEqual([2, 0, 3, 2]);
  });

  it("come back from what was typed as they went out", () => {
    for (const amount of [0, 1, 10, 99, 100, 357, 119_000, 9_007_199_254_740]) {
      for (const digits of [0, 2, 3]) expect(minorUnits(plainAmount(amount, digits), digits)).toBe(amount);
    }
    expect(plainAmount(-5, 2)).toBe("-0.05");
  });

  it("are read by point or comma, and not at all where they could mean anything else", () => {
    expect([minorUnits("11,9", 2), minorUnits(" 11.90 ", 2), minorUnits("11", 2), minorUnits("0.07", 2)]).toEqual([1190, 1190, 1100, 7]);
    for (const typed of ["", "1.190,00", "1,190.00", "1 190", "-1", "+1", "11.905", "11.", ".5", "1e3", "11.90 EUR", "１１"]) {
      expect(minorUnits(typed, 2), typed).toBeNull();
    }
    expect(minorUnits("357.0", 0)).toBeNull();
  });
});

describe("countries", () => {
  it("are those that there are, by name", () => {
    const found = countries("en");
    const codes = found.map(([code]) => code);
    expect(codes).toEqual(expect.arrayContaining(["DE", "AT", "CH", "US", "GB", "XK"]));
    for (const none of ["EU", "UN", "ZZ", "SU", "DD", "UK", "XA"]) expect(codes).not.toContain(none);
    expect(found.length).toBeGreaterThan(240);
    expect(found.map(([, name]) => name)).toEqual(found.map(([, name]) => name).toSorted((a, b) => a.localeCompare(b, "en")));
  });
});
