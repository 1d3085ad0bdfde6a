/** The sign-in. It stands in place of a page and leaves the address alone,
 * so that it leads back to where the person was. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { signIn } from "./app.ts";
import { useAction } from "./hooks.ts";
import { useEffect, useRef, type VNode } from "./preact.ts";

export function SignIn({ notice }: { notice: string | null }): VNode {
  const { problem, isBusy, run } = useAction();
  const key = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Log in · Picket";
    key.current?.focus();
  }, []);
  const words = problem?.message ?? notice;
  return (
    <main class="sign-in">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          const text = key.current?.value ?? "";
          run(() => signIn(text));
        }}
      >
        <img src="assets/logo.svg" alt="" width="40" height="40" />
        <h1>Log in to Picket</h1>
        <label class="field">
          <span>API key</span>
          <input
            ref={key}
            name="key"
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            required
            placeholder="pk_..."
            aria-invalid={problem !== null}
            aria-describedby="key-problem"
          />
          <span id="key-problem" class="field-problem" role="alert">{words}</span>
        </label>
        <button type="submit" class="main" disabled={isBusy}>Log in</button>
        <p class="soft small">
          The first start of the aggregator wrote a key into <code>admin.key</code> of its state folder.{" "}
          <code>picket-aggregator key create</code> makes others.
        </p>
      </form>
    </main>
  );
}
