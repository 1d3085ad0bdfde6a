/** One dissector child: packets in, answers out, in order.
 *
 * In: packets with their ticket, flow and segment. Out: for each, one line's columns to `onAnswer`.
 * Invariant: the n-th line answers the n-th packet; a line that says otherwise ends the child, since from there on
 * facts would be put to the wrong flows. Bounded: `packetsMax` packets unanswered, `bytesMax` bytes not yet written.
 * Why a filler: tshark keeps up to 4 KB of lines to itself when it writes to a pipe, and flushing after each line
 * (`-l`) costs ten times more to read.
 * When it owes answers and nothing is on the way, one packet whose line is longer than that pushes them out. @module */

import { splitLine } from "../columns/line.ts";
import { fillerPacket } from "./filler.ts";
import { PcapWriter } from "./pcap_writer.ts";
import type { DissectorProcess } from "./tshark.ts";

export interface ChildOptions {
  packetsMax: number;
  bytesMax: number;
}

/** How a child ended. `given_up` tickets will never be answered. */
export interface ChildEnd {
  reason: "drained" | "exited" | "garbage" | "killed";
  words: string;
  givenUp: number;
}

/** One is enough for the tshark we know; another version may keep more to itself, or cut columns shorter. */
const fillersInRowMax = 4;
const lineCharactersMax = 1_000_000;

/** Takes the columns that answer one packet. */
export type OnAnswer = (flowId: number, segment: number, columns: readonly string[]) => void;

export class DissectorChild {
  readonly #process: DissectorProcess;
  readonly #options: ChildOptions;
  readonly #onAnswer: OnAnswer;
  readonly #writer = new PcapWriter();
  /** Ring of unanswered packets: ticket (0 = filler), flow and segment. */
  readonly #tickets: Float64Array;
  readonly #flows: Float64Array;
  readonly #segments: Int32Array;
  #head = 0;
  #count = 0;
  #offered = 0;
  #answered = 0;
  #fillers = 0;
  #fillersInRow = 0;
  #writing: Promise<void> | null = null;
  #ending = false;
  #killed: "garbage" | "killed" | null = null;
  #killedWords = "";
  /** Resolves once, when the process is gone and all its lines are read. Never rejects. */
  readonly ended: Promise<ChildEnd>;

  constructor(
    process: DissectorProcess,
    options: ChildOptions,
    onAnswer: OnAnswer,
  ) {
    this.#process = process;
    this.#options = options;
    this.#onAnswer = onAnswer;
    this.#tickets = new Float64Array(options.packetsMax + 1);
    this.#flows = new Float64Array(options.packetsMax + 1);
    this.#segments = new Int32Array(options.packetsMax + 1);
    this.ended = this.#run();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Packets taken, fillers not counted. */
  get offered(): number {
    return this.#offered;
  }

  /** Lines read, fillers' too. */
  get answered(): number {
    return this.#answered;
  }

  /** Packets taken and not answered, fillers not counted. */
  get waiting(): number {
    return this.#count - this.#fillers;
  }

  /** It gets no more packets, and should end once all are answered. */
  get isEnding(): boolean {
    return this.#ending;
  }

  get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  /** Ticket of the oldest packet not answered; Infinity when there is none. */
  get oldestTicket(): number {
    const size = this.#tickets.length;
    for (let i = 0; i < this.#count; i++) {
      const ticket = this.#tickets[(this.#head + i) % size];
      if (ticket !== 0) return ticket;
    }
    return Infinity;
  }

  /** Why the next packet would be refused, "" = it would not. */
  get refusal(): "" | "packets_max" | "bytes_max" {
    if (this.#count >= this.#options.packetsMax) return "packets_max";
    return this.#writer.bufferedBytes >= this.#options.bytesMax ? "bytes_max" : "";
  }

  /** Takes one packet, copying it. The caller has asked `refusal`. */
  offer(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    ticket: number,
    flowId: number,
    segment: number,
  ): void {
    this.#writer.append(buffer, offset, capturedLength, wireLength, timeUs);
    this.#remember(ticket, flowId, segment);
    this.#fillersInRow = 0;
    this.#offered++;
  }

  /** Starts writing what is buffered, unless that is going on. */
  pump(): void {
    if (this.#writing || this.#killed || this.#writer.bufferedBytes === 0) return;
    this.#writing = this.#write().finally(() => this.#writing = null);
  }

  /** Pushes out answers the child holds back; does nothing while packets are on their way. */
  push(): void {
    if (this.#ending || this.#writing || this.waiting === 0 || this.#fillersInRow >= fillersInRowMax) return;
    if (this.#writer.bufferedBytes > 0 || this.#count >= this.#options.packetsMax) return;
    const packet = fillerPacket;
    this.#writer.append(packet, 0, packet.length, packet.length, 0);
    this.#remember(0, -1, 0);
    this.#fillers++;
    this.#fillersInRow++;
    this.pump();
  }

  /** No more packets: everything buffered is written, the input closed, and `ended` resolves when all is answered. */
  async finish(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    try {
      while (this.#writing || (this.#writer.bufferedBytes > 0 && !this.#killed)) {
        this.pump();
        await this.#writing;
      }
      await this.#process.end();
    } catch {
      // The child is gone; `ended` says how.
    }
  }

  kill(words: string): void {
    this.#killed ??= "killed";
    this.#killedWords ||= words;
    this.#process.kill();
  }

  #remember(ticket: number, flowId: number, segment: number): void {
    const at = (this.#head + this.#count) % this.#tickets.length;
    this.#tickets[at] = ticket;
    this.#flows[at] = flowId;
    this.#segments[at] = segment;
    this.#count++;
  }

  async #write(): Promise<void> {
    try {
      for (let block = this.#writer.take(); block && !this.#killed; block = this.#writer.take()) {
        await this.#process.write(block.bytes.subarray(0, block.length));
        this.#writer.release(block);
      }
    } catch {
      // A broken pipe: the child is gone, and `ended` says how.
      this.#killed ??= "killed";
      this.#process.kill();
    }
  }

  async #run(): Promise<ChildEnd> {
    try {
      await this.#readLines();
    } catch (error) {
      this.#garbage(error instanceof Error ? error.message : String(error));
    }
    const words = await this.#process.exited;
    const givenUp = this.waiting;
    this.#count = 0;
    this.#fillers = 0;
    if (this.#killed === "garbage") return { reason: "garbage", words: this.#killedWords, givenUp };
    if (this.#killed && this.#killedWords !== "") {
      return { reason: "killed", words: this.#killedWords, givenUp };
    }
    if (this.#ending && words === "" && givenUp === 0) return { reason: "drained", words, givenUp };
    return { reason: "exited", words: words || "exit status 0", givenUp };
  }

  async #readLines(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#process.output) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (!this.#answer(line)) return;
      }
      if (rest.length > lineCharactersMax) {
        return this.#garbage(`a line of over ${lineCharactersMax} characters`);
      }
    }
  }

  /** Takes one line; false when it is not the answer that was due. */
  #answer(line: string): boolean {
    if (this.#count === 0) {
      this.#garbage("a line more than packets");
      return false;
    }
    const split = splitLine(line, this.#answered + 1);
    if ("reason" in split) {
      this.#garbage(`a line with the wrong ${split.reason}`);
      return false;
    }
    const ticket = this.#tickets[this.#head];
    const flowId = this.#flows[this.#head];
    const segment = this.#segments[this.#head];
    this.#head = (this.#head + 1) % this.#tickets.length;
    this.#count--;
    this.#answered++;
    if (ticket === 0) this.#fillers--;
    else this.#onAnswer(flowId, segment, split.columns);
    return true;
  }

  #garbage(words: string): void {
    this.#killed = "garbage";
    this.#killedWords = words;
    this.#process.kill();
  }
}
