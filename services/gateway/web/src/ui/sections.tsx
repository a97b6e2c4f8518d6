/** Pages of several sections: one at a time, each with its own path, names on the left. */
import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useTitle } from "./frame";
import { Icon, type IconName } from "./icon";

export interface Section {
  id: string;
  name: string;
  icon: IconName;
  view: ComponentType;
}

interface Props {
  label: string;
  /** Paths are `base/<id>`. */
  base: string;
  sections: Section[];
  current: string;
  wide?: boolean;
  top: ComponentChildren;
  more?: ComponentChildren;
}

export function Sections({ label, base, sections, current, wide = false, top, more }: Props) {
  const shown = sections.find((one) => one.id === current) ?? sections[0]!;
  useTitle(shown.name);
  const View = shown.view;
  const names = useRef<HTMLUListElement>(null);
  // On a telephone the names stand in a row that scrolls, and all of it scrolls as one.
  useEffect(() => {
    names.current?.closest(".body")?.scrollTo(0, 0);
    names.current?.querySelector(".current")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [shown.id]);
  return (
    <div class="mailbox settings">
      {top}
      <div class="body">
        <nav class="settings-nav" aria-label={label}>
          <a class="back-link" href="/mail/inbox">
            <Icon name="back" size={18} /> Mailbox
          </a>
          <ul ref={names}>
            {sections.map(({ id, name, icon }) => (
              <li key={id} class={id === shown.id ? "current" : ""}>
                <a href={`${base}/${id}`} aria-current={id === shown.id ? "page" : undefined}>
                  <Icon name={icon} />
                  <span>{name}</span>
                </a>
              </li>
            ))}
            {more}
          </ul>
        </nav>
        <main id="content" class={`settings-main ${wide ? "wide" : ""}`} tabIndex={-1} key={shown.id}>
          <h1>{shown.name}</h1>
          <View />
        </main>
      </div>
    </div>
  );
}
