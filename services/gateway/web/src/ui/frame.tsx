/** The frame of the plain pages: name on the left, ways in on the right, content in the middle, footer below. */
import type { ComponentChildren } from "preact";
import { session } from "../state/session";
import { Brand, ThemeButton, useTitle } from "./plain";

export { Brand, ThemeButton, useTitle } from "./plain";

interface FrameProps {
  title?: string;
  narrow?: boolean;
  children: ComponentChildren;
}

export function Frame({ title = "", narrow = false, children }: FrameProps) {
  useTitle(title);
  return (
    <div class="frame">
      <header class="top">
        <Brand />
        <nav aria-label="Account">
          <ThemeButton />
          <WaysIn />
        </nav>
      </header>
      <main id="content" class={narrow ? "narrow" : ""} tabIndex={-1}>
        {children}
      </main>
      <footer class="bottom">
        <p>
          One cookie while you are signed in. No trackers, nothing loaded from elsewhere. <a href="/privacy">Privacy</a>{" "}
          · <a href="/transparency">Transparency</a>
        </p>
      </footer>
    </div>
  );
}

function WaysIn() {
  const kind = session.value.kind;
  if (kind === "open" || kind === "locked") {
    return (
      <a class="button primary" href="/mail/inbox">
        My mailbox
      </a>
    );
  }
  return (
    <>
      <a class="button quiet" href="/sign-in">
        Sign in
      </a>
      <a class="button primary" href="/sign-up">
        Sign up
      </a>
    </>
  );
}
