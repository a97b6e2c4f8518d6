/** The page starts here: who is signed in is asked at once, everything else when it is needed. */
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/overlays.css";
import { render } from "preact";
import { App } from "./app";
import { loadInfo } from "./state/info";
import { resume } from "./state/session";

void loadInfo();
void resume();
const place = document.getElementById("page");
if (place) render(<App />, place);
