/** Settings: one section at a time, each with its own path. */
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { startMailbox } from "../state/mailbox";
import { useTitle } from "../ui/frame";
import { Icon, type IconName } from "../ui/icon";
import { MailTop } from "./mail/top";
import { AccountSection } from "./settings/account";
import { AppearanceSection } from "./settings/appearance";
import { CredentialsSection } from "./settings/credentials";
import { PasswordSection } from "./settings/password";
import { RecoverySection } from "./settings/recovery";
import { SessionsSection } from "./settings/sessions";
import { StorageSection } from "./settings/storage";
import { WritingSection } from "./settings/writing";
import "../styles/mail.css";
import "../styles/forms.css";
import "../styles/settings.css";

const SECTIONS: { id: string; name: string; icon: IconName; view: ComponentType }[] = [
  { id: "account", name: "Account and key", icon: "user", view: AccountSection },
  { id: "password", name: "Password", icon: "lock", view: PasswordSection },
  { id: "recovery", name: "Recovery code", icon: "shield", view: RecoverySection },
  { id: "sessions", name: "Sessions", icon: "globe", view: SessionsSection },
  { id: "credentials", name: "API keys and app passwords", icon: "key", view: CredentialsSection },
  { id: "writing", name: "Writing", icon: "pencil", view: WritingSection },
  { id: "storage", name: "Storage", icon: "archive", view: StorageSection },
  { id: "appearance", name: "Appearance", icon: "sun", view: AppearanceSection },
];

export default function Settings({ section }: { section: string }) {
  useEffect(startMailbox, []);
  const shown = SECTIONS.find((one) => one.id === section) ?? SECTIONS[0]!;
  useTitle(shown.name);
  const View = shown.view;
  return (
    <div class="mailbox settings">
      <MailTop />
      <div class="body">
        <nav class="settings-nav" aria-label="Settings">
          <a class="back-link" href="/mail/inbox">
            <Icon name="back" size={18} /> Mailbox
          </a>
          <ul>
            {SECTIONS.map(({ id, name, icon }) => (
              <li key={id} class={id === shown.id ? "current" : ""}>
                <a href={`/settings/${id}`} aria-current={id === shown.id ? "page" : undefined}>
                  <Icon name={icon} />
                  <span>{name}</span>
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <main id="content" class="settings-main" tabIndex={-1} key={shown.id}>
          <h1>{shown.name}</h1>
          <View />
        </main>
      </div>
    </div>
  );
}
