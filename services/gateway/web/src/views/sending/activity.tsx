/** Delivery events, newest first, in pages; the filter and the plot are of what is loaded. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { EVENT_TYPES, relay, type DeliveryEvent } from "../../api/relay";
import { longTime, plural, shortTime } from "../../lib/format";
import { Button, Failure, Notice, Waiting } from "../../ui/parts";
import { useAction } from "../../ui/use-action";
import { useLoad } from "../../ui/use-load";
import { byDay, explain, kindOf, tally, withOlder } from "./events";
import { Plot } from "./plot";
import { Badge } from "./records";
import { SubmissionDialog } from "./submission";

interface Loaded {
  events: DeliveryEvent[];
  cursor: string | null;
}

export function ActivitySection() {
  const { value, error, busy, reload, set } = useLoad<Loaded>(async () => {
    const page = await relay.events(null);
    return { events: page.events, cursor: page.next_cursor };
  });
  const older = useAction();
  const more = () =>
    older.run(async () => {
      const page = await relay.events(value!.cursor);
      set({ events: withOlder(value!.events, page.events), cursor: page.next_cursor });
    });
  if (error && !value) {
    return (
      <Card>
        <Failure error={error} retry={reload} />
      </Card>
    );
  }
  if (!value) return <Waiting />;
  if (value.events.length === 0) return <None busy={busy} reload={reload} />;
  return (
    <>
      <Summary loaded={value} busy={busy} failed={Boolean(error)} reload={reload} />
      <Events events={value.events} />
      {older.error && <Notice kind="error">{older.error}</Notice>}
      {value.cursor && (
        <Button busy={older.busy} onClick={() => void more()}>
          Load older events
        </Button>
      )}
    </>
  );
}

interface SummaryProps {
  loaded: Loaded;
  busy: boolean;
  failed: boolean;
  reload: () => void;
}

function Summary({ loaded: { events, cursor }, busy, failed, reload }: SummaryProps) {
  return (
    <Card label="By day">
      <div class="card-head">
        <p>
          {plural(events.length, "event")} since {longTime(new Date(events.at(-1)!.at))}
          {cursor ? ", and more before" : ""}.
        </p>
        <Button icon="refresh" busy={busy} onClick={reload}>
          Look again
        </Button>
      </div>
      {failed && <Notice kind="error">This could not be looked at again just now.</Notice>}
      <Plot days={byDay(events, cursor ? 1 : 7)} />
    </Card>
  );
}

function Card({ label, children }: { label?: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-label={label}>
      {children}
    </section>
  );
}

function None({ busy, reload }: { busy: boolean; reload: () => void }) {
  return (
    <Card>
      <p>Nothing has happened yet. What becomes of your mail stands here for 30 days: each recipient, each attempt.</p>
      <div class="row">
        <Button icon="refresh" busy={busy} onClick={reload}>
          Look again
        </Button>
      </div>
    </Card>
  );
}

function Events({ events }: { events: DeliveryEvent[] }) {
  const [type, setType] = useState("");
  const [open, setOpen] = useState("");
  const counts = tally(events, EVENT_TYPES);
  const shown = type ? events.filter((event) => event.type === type) : events;
  return (
    <Card label="Events">
      <Filter counts={counts} all={events.length} chosen={type} onChoose={setType} />
      <ul class="items events" aria-label="Events">
        {shown.map((event) => (
          <EventRow key={event.id} event={event} onOpen={() => setOpen(event.submission_id)} />
        ))}
      </ul>
      {open && <SubmissionDialog id={open} onClose={() => setOpen("")} />}
    </Card>
  );
}

interface FilterProps {
  counts: [string, number][];
  all: number;
  chosen: string;
  onChoose: (type: string) => void;
}

function Filter({ counts, all, chosen, onChoose }: FilterProps) {
  const choices: [string, string, number][] = [
    ["", "All", all],
    ...counts.map(([type, count]): [string, string, number] => [type, kindOf(type).word, count]),
  ];
  return (
    <div class="filters" role="group" aria-label="Show only">
      {choices.map(([type, word, count]) => (
        <button key={type} type="button" class="filter" aria-pressed={type === chosen} onClick={() => onChoose(type)}>
          {word} <span class="muted">{count.toLocaleString()}</span>
        </button>
      ))}
    </div>
  );
}

function EventRow({ event, onOpen }: { event: DeliveryEvent; onOpen: () => void }) {
  const { word, icon, tone } = kindOf(event.type);
  const time = new Date(event.at);
  const why = explain(event.status);
  return (
    <li>
      <Badge word={word} icon={icon} tone={tone} />
      <div class="event-what">
        <bdi class="address">{event.recipient}</bdi>
        <small class="muted">
          {event.status && <span class="mono">{event.status}</span>} {why}
          {event.campaign && (
            <>
              {" "}
              · campaign <bdi>{event.campaign}</bdi>
            </>
          )}
        </small>
      </div>
      <div class="event-when">
        <time dateTime={event.at} title={longTime(time)}>
          {shortTime(time)}
        </time>
        <button type="button" class="link" aria-label={`The mail to ${event.recipient}`} onClick={onOpen}>
          The mail
        </button>
      </div>
    </li>
  );
}
