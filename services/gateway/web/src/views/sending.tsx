/** Sending: how it stands, what became of mail, and what belongs to sending by program; one section at a time. */
import { useEffect } from "preact/hooks";
import { account } from "../state/session";
import { startMailbox } from "../state/mailbox";
import { Icon } from "../ui/icon";
import { Sections, type Section } from "../ui/sections";
import { MailTop } from "./mail/top";
import { ActivitySection } from "./sending/activity";
import { CampaignsSection } from "./sending/campaigns";
import { DomainsSection } from "./sending/domains";
import { OperatorSection } from "./sending/operator";
import { OverviewSection } from "./sending/overview";
import { ProgramsSection } from "./sending/programs";
import { SuppressionsSection } from "./sending/suppressions";
import { WebhooksSection } from "./sending/webhooks";
import "../styles/mail.css";
import "../styles/forms.css";
import "../styles/settings.css";
import "../styles/sending.css";

const SECTIONS: Section[] = [
  { id: "overview", name: "How sending stands", icon: "send", view: OverviewSection },
  { id: "activity", name: "What became of mail", icon: "clock", view: ActivitySection },
  { id: "campaigns", name: "Opens and clicks", icon: "eye", view: CampaignsSection },
  { id: "domains", name: "Sender domains", icon: "globe", view: DomainsSection },
  { id: "programs", name: "SMTP and API", icon: "code", view: ProgramsSection },
  { id: "webhooks", name: "Webhooks", icon: "forward", view: WebhooksSection },
  { id: "suppressions", name: "Not written to", icon: "junk", view: SuppressionsSection },
];
const OPERATOR: Section = { id: "operator", name: "This installation", icon: "shield", view: OperatorSection };

export default function Sending({ section }: { section: string }) {
  useEffect(startMailbox, []);
  const operates = account.value?.roles.includes("operator") ?? false;
  return (
    <Sections
      label="Sending"
      base="/sending"
      sections={operates ? [...SECTIONS, OPERATOR] : SECTIONS}
      current={section}
      wide
      top={<MailTop />}
      more={
        <li>
          <a href="/settings">
            <Icon name="settings" />
            <span>Settings</span>
          </a>
        </li>
      }
    />
  );
}
