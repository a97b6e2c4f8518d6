/** Which view a path shows, and what must be true before it is shown. */
import { Component, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { lazyView } from "./lib/lazy";
import { navigate, path, pieces } from "./lib/router";
import { resume, session } from "./state/session";
import { Button, Empty, Failure, Waiting } from "./ui/parts";
import { Frame } from "./ui/frame";
import { Toasts } from "./ui/toasts";
import { Start } from "./views/start";

const SignIn = lazyView(() => import("./views/sign-in"));
const SignUp = lazyView(() => import("./views/sign-up"));
const Recover = lazyView(() => import("./views/recover"));
const Unlock = lazyView(() => import("./views/unlock"));
const PublicInbox = lazyView(() => import("./views/public"));
const Leaving = lazyView(() => import("./views/leaving"));
const MailboxView = lazyView(() => import("./views/mailbox"));
const WriteView = lazyView(() => import("./views/write"));
const ContactsView = lazyView(() => import("./views/contacts"));
const Sending = lazyView(() => import("./views/sending"));
const Settings = lazyView(() => import("./views/settings"));

export function App() {
  const [first = "", second = "", third = ""] = pieces(path.value);
  return (
    <>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <Guard key={first}>{viewOf(first, second, third)}</Guard>
      <Toasts />
    </>
  );
}

/** Keeps a fault in one view from emptying the page. */
class Guard extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };

  static override getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Frame title="Error">
        <Empty alone icon="warning" title="This view failed">
          <Button icon="refresh" onClick={() => location.reload()}>
            Reload the page
          </Button>
        </Empty>
      </Frame>
    );
  }
}

function viewOf(first: string, second: string, third: string): ComponentChildren {
  switch (first) {
    case "":
      return <Start />;
    case "sign-in":
      return <SignIn />;
    case "sign-up":
      return <SignUp key={second} relays={second === "business"} />;
    case "recover":
      return <Recover />;
    case "public":
      return <PublicInbox key={second} address={second.toLowerCase()} id={third} />;
    case "leaving":
      return <Leaving />;
    case "mail":
      return <Guarded>{() => <MailboxView folder={second || "inbox"} id={third} />}</Guarded>;
    case "write":
      return <Guarded>{() => <WriteView id={second} />}</Guarded>;
    case "contacts":
      return <Guarded>{() => <ContactsView />}</Guarded>;
    case "sending":
      return <Guarded>{() => <Sending section={second || "overview"} />}</Guarded>;
    case "settings":
      return <Guarded>{() => <Settings section={second || "account"} />}</Guarded>;
    default:
      return <Missing />;
  }
}

/** Shows what is inside once the key is open; asks for what is missing otherwise. */
function Guarded({ children }: { children: () => ComponentChildren }) {
  const state = session.value;
  useEffect(() => {
    if (state.kind === "none") navigate("/sign-in", { replace: true });
  }, [state.kind]);
  if (state.kind === "open") return <>{children()}</>;
  if (state.kind === "locked") return <Unlock />;
  return (
    <Frame>
      {state.kind === "unreachable" ? <Failure error={state.error} retry={() => void resume()} /> : <Waiting />}
    </Frame>
  );
}

function Missing() {
  return (
    <Frame title="Not found">
      <Empty alone icon="search" title="There is no such page">
        <a href="/">Go to the start page</a>
      </Empty>
    </Frame>
  );
}
