/** Views in chunks of their own: loaded when first shown; a chunk that cannot be had (a new release) can be asked for again. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Empty, Button, Waiting } from "../ui/parts";

export function lazyView<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function LazyView(props: P) {
    const [state, setState] = useState<"waiting" | "ready" | "failed">(loaded ? "ready" : "waiting");
    useEffect(() => {
      if (state !== "waiting") return;
      let current = true;
      load()
        .then((module) => (loaded = module.default))
        .then(() => current && setState("ready"))
        .catch(() => current && setState("failed"));
      return () => void (current = false);
    }, [state]);
    if (state === "failed") return <Reload />;
    if (state === "waiting" || !loaded) return <Waiting />;
    const View = loaded;
    return <View {...props} />;
  };
}

function Reload() {
  return (
    <Empty alone icon="refresh" title="This part of the page could not be loaded">
      <Button onClick={() => location.reload()}>Reload the page</Button>
    </Empty>
  );
}
