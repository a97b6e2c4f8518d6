/** Settings: one section at a time, each with its own path. */
import { useEffect } from "preact/hooks";
import { lazyView } from "../lib/lazy";
import { info } from "../state/info";
import { startMailbox } from "../state/mailbox";
import { Icon } from "../ui/icon";
import { Sections, type Section } from "../ui/sections";
import { MailTop } from "./mail/top";
import { AccountSection } from "./settings/account";
import { AppearanceSection } from "./settings/appearance";
import { ConcernsSection } from "./settings/concerns";
import { CredentialsSection } from "./settings/credentials";
import { DataSection } from "./settings/data";
import { ForwardingSection } from "./settings/forwarding";
import { PasswordSection } from "./settings/password";
import { RecoverySection } from "./settings/recovery";
import { SessionsSection } from "./settings/sessions";
import { StorageSection } from "./settings/storage";
import { WritingSection } from "./settings/writing";
import "../styles/mail.css";
import "../styles/forms.css";
import "../styles/settings.css";

const SECTIONS: Section[] = [
  { id: "account", name: "Account and key", icon: "user", view: AccountSection },
  { id: "password", name: "Password", icon: "lock", view: PasswordSection },
  { id: "recovery", name: "Recovery code", icon: "shield", view: RecoverySection },
  { id: "sessions", name: "Sessions", icon: "globe", view: SessionsSection },
  { id: "credentials", name: "API keys and app passwords", icon: "key", view: CredentialsSection },
  { id: "forwarding", name: "Forwarding", icon: "forward", view: ForwardingSection },
  { id: "writing", name: "Writing", icon: "pencil", view: WritingSection },
  { id: "data", name: "Your data", icon: "download", view: DataSection },
  { id: "concerns", name: "Concerns", icon: "info", view: ConcernsSection },
  { id: "billing", name: "Plan and usage", icon: "card", view: lazyView(() => import("./settings/billing")) },
  { id: "storage", name: "Storage", icon: "archive", view: StorageSection },
  { id: "appearance", name: "Appearance", icon: "sun", view: AppearanceSection },
];

export default function Settings({ section }: { section: string }) {
  useEffect(startMailbox, []);
  const sections = info.value?.billing ? SECTIONS : SECTIONS.filter(({ id }) => id !== "billing");
  return (
    <Sections
      label="Settings"
      base="/settings"
      sections={sections}
      current={section}
      top={<MailTop />}
      more={
        <li>
          <a href="/sending">
            <Icon name="send" />
            <span>Sending</span>
          </a>
        </li>
      }
    />
  );
}
