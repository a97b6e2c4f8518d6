/** The start page: what this is, and a public inbox one word away. */
import { useState } from "preact/hooks";
import { duration } from "../lib/format";
import { navigate } from "../lib/router";
import { info, infoError, loadInfo } from "../state/info";
import { session } from "../state/session";
import { Frame } from "../ui/frame";
import { Icon, type IconName } from "../ui/icon";
import { Button, Notice } from "../ui/parts";
import { asSentence } from "../api/http";
import "../styles/start.css";

const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";

export function Start() {
  return (
    <Frame>
      <section class="hero">
        <div>
          <h1>Mail that only its reader can open.</h1>
          <p class="lead">
            sealpost locks every message to its owner before it is first written to a disk. Or take a public inbox: no
            name, no password, gone in days.
          </p>
        </div>
        <HeroArt />
      </section>
      <div class="doors">
        <PublicDoor />
        <PrivateDoor />
      </div>
      <ul class="facts">
        <Fact icon="lock" title="Sealed on arrival">
          Messages are encrypted to your key before they are stored. From then on nobody who runs this server can open
          them.
        </Fact>
        <Fact icon="key" title="Your password stays here">
          It never leaves your browser, so nobody can reset it, leak it, or hand it over.
        </Fact>
        <Fact icon="shield" title="Harmless by default">
          No script, form or remote image in a message ever runs or loads.
        </Fact>
      </ul>
      <p class="promise">
        What is kept, for how long, and whether it was found to hold just now: <a href="/privacy">the privacy policy</a>, each
        sentence with its evidence.
      </p>
    </Frame>
  );
}

function PublicDoor() {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  const domain = info.value?.public_domains[0] ?? "";
  const open = (local: string) => {
    if (local.trim() === "") return setWrong("Type any name: it becomes an inbox at once");
    const address = local.includes("@") ? local.trim().toLowerCase() : `${local.trim().toLowerCase()}@${domain}`;
    if (!/^[^\s@/]{1,64}@[^\s@/]+$/.test(address))
      setWrong("Letters, digits, dots and hyphens, for example blue.otter");
    else navigate(`/public/${encodeURIComponent(address).replace("%40", "@")}`);
  };
  return (
    <section class="door" aria-labelledby="door-public">
      <h2 id="door-public">Open any public inbox</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          open(name);
        }}
      >
        <NameField
          {...{ name, domain, wrong }}
          onName={(typed) => {
            setName(typed);
            setWrong("");
          }}
        />
        <div class="door-actions">
          <button class="button primary" type="submit" disabled={!domain}>
            Open inbox
          </button>
          <Button icon="dice" look="quiet" disabled={!domain} onClick={() => open(randomName())}>
            Random name
          </Button>
        </div>
      </form>
      <PublicWarning />
    </section>
  );
}

interface NameFieldProps {
  name: string;
  domain: string;
  wrong: string;
  onName: (name: string) => void;
}

function NameField({ name, domain, wrong, onName }: NameFieldProps) {
  return (
    <>
      <div class={`address-input ${wrong ? "wrong" : ""}`}>
        <input
          aria-label="Name of the inbox"
          aria-describedby="public-warning"
          aria-invalid={Boolean(wrong)}
          placeholder="any-name"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          maxLength={200}
          value={name}
          onInput={(event) => onName(event.currentTarget.value)}
        />
        {!name.includes("@") && <span class="domain">@{domain || "…"}</span>}
      </div>
      {wrong && (
        <p class="field-error" role="alert">
          <Icon name="warning" size={15} /> {wrong}
        </p>
      )}
    </>
  );
}

function PublicWarning() {
  const kept = info.value?.public;
  if (infoError.value) {
    return (
      <Notice kind="error">
        {asSentence(infoError.value)}{" "}
        <button type="button" class="link" onClick={() => void loadInfo()}>
          Try again
        </button>
      </Notice>
    );
  }
  return (
    <div id="public-warning">
      <Notice kind="warning">
        <strong>Public inboxes can be read by everybody</strong> who knows or guesses the address. Never use one for
        anything private.
        {kept && ` It keeps the ${kept.keep_newest} newest messages for ${duration(kept.retention_seconds)}.`}
      </Notice>
    </div>
  );
}

function PrivateDoor() {
  const kind = session.value.kind;
  const inside = kind === "open" || kind === "locked";
  return (
    <section class="door private" aria-labelledby="door-private">
      <h2 id="door-private">A mailbox that is yours alone</h2>
      <p>
        An address at {info.value?.member_domains[0] ?? "this server"}, sealed with a key that is made in your browser
        and opened by your password.
      </p>
      <ul class="ticks">
        {[
          "Plain OpenPGP: GnuPG opens your mail too",
          "A recovery code, if you want one",
          "Take your key and leave at any time",
        ].map((line) => (
          <li key={line}>
            <Icon name="check" size={18} /> {line}
          </li>
        ))}
      </ul>
      <div class="door-actions">
        {inside ? (
          <a class="button primary" href="/mail/inbox">
            Go to my mailbox
          </a>
        ) : (
          <>
            {info.value?.sign_up_open !== false && (
              <a class="button primary" href="/sign-up">
                Create a mailbox
              </a>
            )}
            <a class="button" href="/sign-in">
              Sign in
            </a>
          </>
        )}
      </div>
    </section>
  );
}

/** An envelope under its seal, and what the disk sees of it. */
function HeroArt() {
  const lines = [112, 84, 128, 64, 100, 118, 76];
  return (
    <svg class="hero-art" viewBox="0 0 320 220" aria-hidden="true" focusable="false">
      <g class="art-disk">
        <rect x="150" y="10" width="160" height="150" rx="14" />
        {lines.map((width, i) => (
          <rect class="art-line" key={i} x="168" y={30 + i * 17} width={width} height="7" rx="3.5" />
        ))}
      </g>
      <rect class="art-letter" x="20" y="64" width="220" height="146" rx="16" />
      <path class="art-fold" d="M26 76l92 72a20 20 0 0 0 24 0l92-72" />
      <circle class="art-seal" cx="130" cy="150" r="34" />
      <circle class="art-ring" cx="130" cy="150" r="25" />
      <path class="art-check" d="M119 151l8 8 15-17" />
    </svg>
  );
}

function Fact({ icon, title, children }: { icon: IconName; title: string; children: string }) {
  return (
    <li>
      <Icon name={icon} size={22} />
      <div>
        <h3>{title}</h3>
        <p>{children}</p>
      </div>
    </li>
  );
}

function randomName(): string {
  // 32 would divide 256 evenly; 31 letters need the few highest values thrown away.
  const most = 256 - (256 % LETTERS.length);
  let name = "";
  while (name.length < 12) {
    for (const byte of crypto.getRandomValues(new Uint8Array(24))) {
      if (byte < most && name.length < 12) name += LETTERS[byte % LETTERS.length];
    }
  }
  return name;
}
