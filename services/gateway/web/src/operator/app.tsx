/** Who may see which section, and the frame around them. The server asks for the role again with every answer. */
import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { asSentence } from "../api/http";
import { navigate, path, pieces } from "../lib/router";
import { info } from "../state/info";
import { toast } from "../state/toast";
import { Logo } from "../ui/icon";
import { Button, Empty, Failure, IconButton, Waiting } from "../ui/parts";
import { ThemeButton, useTitle } from "../ui/plain";
import { SignInForm } from "../ui/sign-in-form";
import { Toasts } from "../ui/toasts";
import { AuditSection } from "./audit";
import { BillingSection } from "./billing";
import { BudgetSection } from "./budget";
import { ConcernsSection } from "./concerns";
import { DisclosureSection } from "./disclosure";
import { HealthSection } from "./health";
import { HoldersSection } from "./holders";
import { PolicySection } from "./policy";
import { RetentionSection } from "./retention";
import { resume, roles, signIn, signOut, staff } from "./staff";
import { StatisticsSection } from "./statistics";
import { zoneWords } from "./words";

interface Section {
  id: string;
  name: string;
  view: ComponentType;
  for: string[];
}

const SECTIONS: Section[] = [
  { id: "health", name: "Health", view: HealthSection, for: ["operator"] },
  { id: "statistics", name: "Statistics", view: StatisticsSection, for: ["statistics"] },
  { id: "budget", name: "Budget", view: BudgetSection, for: ["operator", "statistics"] },
  { id: "holders", name: "Holders", view: HoldersSection, for: ["operator"] },
  { id: "audit", name: "Audit", view: AuditSection, for: ["operator"] },
  { id: "policy", name: "Policy", view: PolicySection, for: ["operator"] },
  { id: "retention", name: "Retention", view: RetentionSection, for: ["operator"] },
  { id: "billing", name: "Billing", view: BillingSection, for: ["operator"] },
  { id: "concerns", name: "Concerns", view: ConcernsSection, for: ["operator", "support"] },
  { id: "disclosure", name: "Disclosure", view: DisclosureSection, for: ["disclosure"] },
];

const sectionsOf = (held: string[]) =>
  SECTIONS.filter(({ id, for: roles }) => roles.some((role) => held.includes(role)) && (id !== "billing" || info.value?.billing));

export function App() {
  return (
    <>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <Guard>
        <Shown />
      </Guard>
      <Toasts />
    </>
  );
}

/** Keeps a fault in one section from emptying the page. */
class Guard extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };

  static override getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Bare title="Error">
        <Empty alone icon="warning" title="This page failed">
          <Button icon="refresh" onClick={() => location.reload()}>
            Reload it
          </Button>
        </Empty>
      </Bare>
    );
  }
}

function Shown() {
  const state = staff.value;
  if (state.kind === "unknown") return <Bare>{<Waiting />}</Bare>;
  if (state.kind === "unreachable") {
    return (
      <Bare>
        <Failure error={state.error} retry={() => void resume()} />
      </Bare>
    );
  }
  if (state.kind === "none") {
    return (
      <Bare title="Sign in" narrow>
        <h1>Operations</h1>
        <SignInForm signIn={signIn} working="Stretching your password" />
      </Bare>
    );
  }
  if (sectionsOf(roles.value).length === 0) {
    return (
      <Bare title="Not found">
        <Empty alone icon="search" title="There is no such page">
          <a href="/" target="_self">
            Go to the start page
          </a>
        </Empty>
      </Bare>
    );
  }
  return <Dashboard />;
}

function Bare({ title = "Operations", narrow = false, children }: { title?: string; narrow?: boolean; children: ComponentChildren }) {
  useTitle(title);
  return (
    <div class="frame">
      <header class="top">
        <Home />
        <nav aria-label="Account">
          <ThemeButton />
        </nav>
      </header>
      <main id="content" class={narrow ? "narrow" : ""} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Home() {
  return (
    <a class="brand" href="/" target="_self" aria-label="sealpost, start page">
      <Logo />
      <span>sealpost</span>
    </a>
  );
}

function Dashboard() {
  const mine = sectionsOf(roles.value);
  const [, wanted = ""] = pieces(path.value);
  const current = mine.find((section) => section.id === wanted) ?? mine[0]!;
  useTitle(`${current.name} · Operations`);
  useEffect(() => {
    if (current.id !== wanted) navigate(`/operator/${current.id}`, { replace: true });
  }, [current.id, wanted]);
  const View = current.view;
  const tabs = useRef<HTMLElement>(null);
  // On a telephone the names stand in a row that scrolls.
  useEffect(() => {
    tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [current.id]);
  return (
    <div class="frame operations">
      <header class="top">
        <Home />
        <nav class="tabs" aria-label="Sections" ref={tabs}>
          <ul>
            {mine.map(({ id, name }) => (
              <li key={id}>
                <a href={`/operator/${id}`} aria-current={id === current.id ? "page" : undefined}>
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <nav class="account" aria-label="Account">
          <ThemeButton />
          <IconButton
            icon="signOut"
            label="Sign out"
            onClick={() => void signOut().catch((error: unknown) => toast(asSentence(error), { kind: "error" }))}
          />
        </nav>
      </header>
      <main id="content" tabIndex={-1} key={current.id}>
        <h1>{current.name}</h1>
        <View />
      </main>
      <footer class="bottom">
        <p>Times are those of your device ({zoneWords()}). Days begin at midnight UTC.</p>
      </footer>
    </div>
  );
}
