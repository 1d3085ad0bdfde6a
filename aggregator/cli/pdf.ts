/** A page as a PDF, printed by the browser that is installed.
 *
 * In: HTML that needs nothing else. Out: the octets of the PDF.
 * Invariant: the browser gets a profile and a folder of its own, no variable of this process and no names to resolve;
 * the folder is gone afterwards. The page forbids scripts itself. Bounds: {@link printMsMax}, {@link pdfBytesMax}.
 * Why a browser and no library: the page is laid out by what people look at it with, and nothing is bundled for it.
 * @module */

const browser = "chromium";
export const printMsMax = 60_000;
const pdfBytesMax = 64 * 1024 * 1024;
const saidMax = 300;

/** Why there is no PDF. */
export class PdfProblem extends Error {}

/** @throws {PdfProblem} */
export async function printPdf(
  html: string,
  { signal, program = browser }: { signal: AbortSignal; program?: string },
): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "picket-report-" });
  try {
    const page = `${folder}/report.html`, made = `${folder}/report.pdf`;
    await Deno.writeTextFile(page, html, { mode: 0o600 });
    const limit = AbortSignal.timeout(printMsMax);
    const said = await run(
      program,
      folder,
      [`--print-to-pdf=${made}`, `file://${page}`],
      AbortSignal.any([signal, limit]),
    );
    if (limit.aborted) throw new PdfProblem(`the browser must end within ${printMsMax / 1e3} s`);
    const size = await Deno.stat(made).then(({ size }) => size, () => 0);
    if (size === 0) throw new PdfProblem(`the browser made no PDF: ${said.trim().slice(-saidMax)}`);
    if (size > pdfBytesMax) {
      throw new PdfProblem(`the PDF must have <= ${pdfBytesMax} octets: it has ${size}`);
    }
    return await Deno.readFile(made);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns what the browser said. */
async function run(
  program: string,
  folder: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const options: Deno.CommandOptions = {
    args: [
      "--headless=new",
      // As root its own walls cannot be built; the page has no script, and names nothing to load.
      ...Deno.uid() === 0 ? ["--no-sandbox"] : [],
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-extensions",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      "--host-resolver-rules=MAP * ~NOTFOUND",
      "--no-pdf-header-footer",
      `--user-data-dir=${folder}/profile`,
      ...args,
    ],
    clearEnv: true,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal,
  };
  try {
    const { stderr } = await new Deno.Command(program, options).output();
    return new TextDecoder().decode(stderr);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new PdfProblem(`the browser "${program}" must be installed (Debian: apt install chromium)`);
  }
}
