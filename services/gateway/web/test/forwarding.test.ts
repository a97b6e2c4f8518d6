import { describe, expect, it } from "vitest";
import type { Forward } from "../src/api/forwarding";
import { refuse, standing } from "../src/state/forwarding";

const NOW = Date.UTC(2026, 10, 23, 1, 0);
const forward = (state: Forward["state"], confirm_until: string | null = null): Forward => ({
  id: "1",
  address: "Ada@mail.example",
  state,
  created: "2026-11-23T00:00:00Z",
  confirm_until,
});

describe("how an address stands", () => {
  it("says what goes there", () => {
    expect(standing(forward("active"), NOW)).toMatchObject({ tone: "good", badge: "Forwarding" });
    expect(standing(forward("stopped"), NOW)).toMatchObject({ tone: "off", badge: "Stopped" });
  });

  it("says how long an answer is waited for, and when none came", () => {
    const asked = standing(forward("pending", "2026-11-24T03:00:00Z"), NOW);
    expect(asked).toMatchObject({ tone: "waiting", badge: "Asked" });
    expect(asked.words).toBe("Waits for an answer there, for 26 hours; nothing goes there yet");
    for (const until of ["2026-11-23T01:00:00Z", "2026-11-22T00:00:00Z", null]) {
      expect(standing(forward("pending", until), NOW).badge).toBe("No answer");
    }
  });
});

describe("what cannot be added", () => {
  const known = [forward("active")];
  it.each([
    ["", "This is not an address."],
    ["ada", "This is not an address."],
    ["me@sealpost.test", "This is your own address here."],
    [" ME@Sealpost.test ", "This is your own address here."],
    ["ada@MAIL.example", "This address is in the list already."],
    ["eve@mail.example", ""],
  ])("%s", (typed, said) => {
    expect(refuse(typed, "me@sealpost.test", known)).toBe(said);
  });
});
