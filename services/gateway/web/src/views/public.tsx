/** A public inbox: everybody may read it, which is said on top for as long as it is open; new mail appears by itself. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { asSentence, ApiError } from "../api/http";
import { publicMail } from "../api/calls";
import { FirstLoad, openLive } from "../api/live";
import type { PublicMessage } from "../api/types";
import { duration } from "../lib/format";
import { navigate } from "../lib/router";
import { readEnvelope, type Envelope } from "../mail/envelope";
import { OpenedMail } from "../mail/opened";
import { info } from "../state/info";
import { MessageList, type Row } from "../state/list";
import { plain, type OpenedMessage } from "../state/opening";
import { announce, toast } from "../state/toast";
import { copy } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { Brand, ThemeButton, useTitle } from "../ui/frame";
import { ListSkeleton, MessageRows } from "../ui/message-list";
import { Empty, Failure, IconButton, Notice, Waiting } from "../ui/parts";
import { Reader } from "../ui/reader";
import { useRow } from "../ui/use-row";
import "../styles/mail.css";

interface Props {
  address: string;
  id: string;
}

function tryEnvelope(value: unknown): Envelope | null {
  try {
    return readEnvelope(value);
  } catch {
    return null;
  }
}

/** The list of one public inbox, alive until the view goes. */
function usePublicList(address: string) {
  const [notice, setNotice] = useState("");
  const [live, setLive] = useState(true);
  const list = useMemo(
    () =>
      new MessageList<PublicMessage>({
        async page(cursor, signal) {
          const page = await publicMail.list(address, cursor, signal);
          setNotice(page.notice);
          return page;
        },
        one: (id) => publicMail.get(address, id),
        open: (messages) => Promise.resolve(messages.map((message) => tryEnvelope(message.envelope))),
      }),
    [address],
  );
  useEffect(() => {
    const first = new FirstLoad((quiet) => void list.load(quiet));
    const close = openLive(publicMail.events(address), {
      stored: ({ id }) => {
        announce("A new message arrived");
        list.arrive(id);
      },
      opened: () => first.opened(),
      connected: setLive,
    });
    return () => {
      close();
      first.cancel();
      list.close();
    };
  }, [list]);
  return { list, notice, live };
}

export default function PublicInbox({ address, id }: Props) {
  useTitle(address);
  const { list, notice, live } = usePublicList(address);
  const base = `/public/${encodeURIComponent(address).replace("%40", "@")}`;
  const row = useRow(list, id);
  return (
    <div class={`mailbox public ${id ? "reading" : ""}`}>
      <header class="top">
        <Brand />
        <nav aria-label="Page">
          <ThemeButton />
          <a class="button quiet" href="/">
            Another inbox
          </a>
        </nav>
      </header>
      <main id="content" class="public-main" tabIndex={-1}>
        <PublicHead address={address} notice={notice} live={live} reload={() => void list.load()} />
        <div class="panes">
          <section class="list-pane" aria-label="Messages">
            <PublicList list={list} address={address} base={base} current={id} />
          </section>
          <section class="reader-pane" aria-label="Reading">
            <PublicReading row={id ? row : null} address={address} base={base} list={list} />
          </section>
        </div>
      </main>
    </div>
  );
}

async function openPublic(address: string, id: string): Promise<OpenedMessage> {
  const opened = await OpenedMail.parse(await publicMail.raw(address, id));
  return plain(opened, opened.view.inner === "encrypted");
}

interface ReadingProps {
  row: Row | "gone" | undefined | null;
  address: string;
  base: string;
  list: MessageList<PublicMessage>;
}

function PublicReading({ row, ...rest }: ReadingProps) {
  if (row === null) return <Empty icon="mailOpen" title="Choose a message to read it" />;
  if (row === undefined) return <Waiting text="Opening" />;
  if (row === "gone") {
    return (
      <Empty icon="clock" title="This message is gone">
        It expired or was deleted.
      </Empty>
    );
  }
  return <PublicReader row={row} {...rest} />;
}

function PublicHead({
  address,
  notice,
  live,
  reload,
}: {
  address: string;
  notice: string;
  live: boolean;
  reload: () => void;
}) {
  const kept = info.value?.public;
  return (
    <div class="public-head">
      <h1>
        <span class="address">
          {address.split("@")[0]}
          <wbr />@{address.split("@").slice(1).join("@")}
        </span>
        <IconButton icon="copy" label="Copy the address" onClick={() => void copy(address)} />
        <IconButton icon="refresh" label="Look for new messages" onClick={reload} />
        <span class={`live ${live ? "" : "off"}`}>{live ? "Live" : "Reconnecting"}</span>
      </h1>
      <Notice kind="warning">
        <strong>This inbox is public.</strong>{" "}
        {notice || "Everybody who knows the address can read and delete what is here."}
        {kept && ` The ${kept.keep_newest} newest messages are kept for ${duration(kept.retention_seconds)}.`}
      </Notice>
    </div>
  );
}

interface ListProps {
  list: MessageList<PublicMessage>;
  address: string;
  base: string;
  current: string;
}

function PublicList({ list, address, base, current }: ListProps) {
  const state = list.state.value;
  const rows = list.rows.value;
  if (state === "loading" && rows.length === 0) return <ListSkeleton />;
  if (state === "failed" && rows.length === 0) {
    if (list.error.value instanceof ApiError && list.error.value.status === 404) {
      return (
        <Empty icon="search" title="There is no public inbox of this name">
          Public addresses end in @{info.value?.public_domains[0] ?? "…"}. <a href="/">Choose another name</a>
        </Empty>
      );
    }
    return <Failure error={list.error.value} retry={() => void list.load()} />;
  }
  if (rows.length === 0) {
    return (
      <Empty icon="inbox" title="Nothing here yet">
        Send a message to <span class="address">{address}</span>: it appears by itself.
      </Empty>
    );
  }
  return (
    <MessageRows
      label={`Messages for ${address}`}
      rows={rows}
      current={current}
      focused={current}
      hrefOf={(row) => `${base}/${row.id}`}
      onEnd={() => void list.more()}
      loading={state === "more"}
      failed={state === "failed"}
      showExpiry
    />
  );
}

function PublicReader({
  address,
  row,
  base,
  list,
}: {
  address: string;
  row: Row;
  base: string;
  list: MessageList<PublicMessage>;
}) {
  const [asking, ask] = useState(false);
  const remove = async () => {
    const taken = list.take(new Set([row.id]));
    navigate(base);
    try {
      await publicMail.remove(address, row.id);
      toast("Message deleted");
    } catch (error) {
      list.putBack(taken);
      toast(asSentence(error), { kind: "error" });
    }
  };
  return (
    <>
      <Reader
        row={row}
        load={() => openPublic(address, row.id)}
        bytes={() => publicMail.raw(address, row.id)}
        readers={() => publicMail.readers(address, row.id)}
        backTo={base}
        actions={<IconButton icon="trash" label="Delete" onClick={() => ask(true)} />}
      />
      {asking && (
        <Confirm
          title="Delete this message?"
          action="Delete"
          danger
          onConfirm={() => void remove()}
          onClose={() => ask(false)}
        >
          <p>It is gone at once, for everybody who reads this inbox.</p>
        </Confirm>
      )}
    </>
  );
}
