/** The operators' page starts here: who is signed in is asked at once, everything else when it is needed. */
import "../styles/base.css";
import "../styles/parts.css";
import "../styles/overlays.css";
import "../styles/operator.css";
import "../styles/operator-rights.css";
import "../styles/operator-billing.css";
import { render } from "preact";
import { loadInfo } from "../state/info";
import { App } from "./app";
import { resume } from "./staff";

void loadInfo();
void resume();
const place = document.getElementById("page");
if (place) render(<App />, place);
