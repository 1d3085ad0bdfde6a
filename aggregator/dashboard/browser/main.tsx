/** The dashboard: one shell around the page that the address names. @module */

import { render } from "./preact.ts";
import { start } from "./app.ts";
import { applyTheme } from "./theme.ts";
import { Shell } from "./shell.tsx";

applyTheme();
render(<Shell />, document.getElementById("app")!);
await start();
