import { describe, expect, it } from "vitest";
import type { DeliveryEvent } from "../src/api/relay";
import { byDay, explain, kindOf, tally, withOlder } from "../src/views/sending/events";
import { localMinute } from "../src/views/sending/webhook-form";

const event = (id: string, type: string, at: Date): DeliveryEvent => ({
  id,
  type,
  at: at.toISOString(),
  submission_id: "s",
  campaign: "",
  recipient: "ann@example.org",
  status: "",
});
const on = (day: number, hour = 12, month = 10) => new Date(2026, month, day, hour, 30);

describe("events by day", () => {
  it("counts by the day of the reader's clock, without gaps, oldest first", () => {
    const days = byDay([
      event("1", "delivered", on(22, 23)),
      event("2", "bounced", on(22, 0)),
      event("3", "delivered", on(20)),
      event("4", "delivered", on(20)),
    ]);
    expect(days.map(({ date }) => date.getDate())).toEqual([20, 21, 22]);
    expect(days.map(({ counts }) => counts)).toEqual([{ delivered: 2 }, {}, { delivered: 1, bounced: 1 }]);
  });

  it("keeps the newest where there are too many, over the end of a month and a day of 23 hours", () => {
    const days = byDay([event("1", "delivered", on(1)), event("2", "delivered", on(20, 12, 2))], 1, 400);
    expect(new Set(days.map(({ date }) => date.toDateString())).size).toBe(days.length);
    expect(byDay([event("1", "delivered", on(1)), event("2", "deferred", on(30))], 1, 5).map(({ date }) => date.getDate())).toEqual([
      26, 27, 28, 29, 30,
    ]);
  });

  it("tells of days before on which nothing happened, where that is known", () => {
    const days = byDay([event("1", "delivered", on(2))], 4);
    expect(days.map(({ date, counts }) => [date.getDate(), counts])).toEqual([[30, {}], [31, {}], [1, {}], [2, { delivered: 1 }]]);
  });

  it("has none where there is nothing, or no time", () => {
    expect(byDay([])).toEqual([]);
    expect(byDay([{ ...event("1", "delivered", on(1)), at: "nonsense" }])).toEqual([]);
  });
});

describe("events", () => {
  it("are counted in the order of the types", () => {
    const events = [event("1", "bounced", on(1)), event("2", "delivered", on(1)), event("3", "bounced", on(1))];
    expect(tally(events, ["delivered", "deferred", "bounced"])).toEqual([
      ["delivered", 1],
      ["bounced", 2],
    ]);
  });

  it("of older pages are not there twice", () => {
    const [one, two, three] = ["1", "2", "3"].map((id) => event(id, "delivered", on(1)));
    expect(withOlder([one!, two!], [two!, three!]).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  });

  it("of a kind that is not known are shown by their name", () => {
    expect(kindOf("delivered").word).toBe("Delivered");
    expect(kindOf("teleported")).toEqual({ word: "teleported", icon: "info", tone: "", meaning: "" });
  });
});

describe("a status code", () => {
  it("is explained where something is known of it", () => {
    expect(explain("5.1.1")).toBe("no such address");
    expect(explain("4.2.2")).toBe("the mailbox is full");
    expect(explain("5.7.123")).toBe("their rules");
    expect(["2.0.0", "", "5.9.1", "nonsense", "5.1.1 x"].map(explain)).toEqual(["", "", "", "", ""]);
  });
});

it("a time is written as the input wants it", () => {
  expect(localMinute(new Date(2026, 0, 2, 3, 4, 5))).toBe("2026-01-02T03:04");
});
