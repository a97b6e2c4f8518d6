/** Asks before a link of a mail is opened, in browsers that cannot ask inside the message (mail/place.ts). */
import { readTarget } from "../mail/links";
import { Frame } from "../ui/frame";
import { LinkFacts, linkQuestion, OpenLink } from "../ui/link-dialog";
import { Empty } from "../ui/parts";
import "../styles/mail.css";

export default function Leaving() {
  const target = readTarget(fromHash(location.hash));
  return (
    <Frame title="Leaving" narrow>
      {target ? (
        <section class="card">
          <h1>{linkQuestion(target)}</h1>
          <LinkFacts target={target} />
          <OpenLink target={target} />
        </section>
      ) : (
        <Empty alone icon="warning" title="This is not a link that can be opened" />
      )}
    </Frame>
  );
}

function fromHash(hash: string): string {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return "";
  }
}
