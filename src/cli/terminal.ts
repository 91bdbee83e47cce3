import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { addAbortSignal } from 'node:stream'

/** Everything that the tool takes from its process; tests give their own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether a person reads the output. */
  readonly isRead: boolean
  /** Whether a person can be asked. */
  readonly canAsk: boolean
  wallMs(): number
  out(text: string): void
  err(text: string): void
  /** Asks on standard error; rejects with the signal's reason, or when the input ends. */
  ask(question: string, signal: AbortSignal): Promise<string>
  /** The first line of standard input. */
  readLine(signal: AbortSignal): Promise<string>
  /** All of a file, or of standard input (`-`); undefined where that is more than `limitBytes`. */
  readText(file: string, limitBytes: number, signal: AbortSignal): Promise<string | undefined>
}

export const systemTerminal: Terminal = {
  env: process.env,
  isRead: process.stdout.isTTY,
  canAsk: process.stdin.isTTY && process.stderr.isTTY,
  wallMs: () => Date.now(),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  ask: (question, signal) => {
    process.stderr.write(question)
    return firstLine(signal)
  },
  readLine: firstLine,
  readText: async (file, limitBytes, signal) => {
    const stream = file === '-' ? process.stdin : createReadStream(file)
    const parts: Buffer[] = []
    let sizeBytes = 0
    for await (const part of addAbortSignal(signal, stream) as AsyncIterable<Buffer>) {
      sizeBytes += part.length
      if (sizeBytes > limitBytes) return undefined
      parts.push(part)
    }
    return Buffer.concat(parts).toString()
  },
}

async function firstLine(signal: AbortSignal): Promise<string> {
  // `terminal: false`: with it on, readline would swallow ctrl-C.
  const lines = createInterface({ input: process.stdin, terminal: false })
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(reasonOf(signal)), { once: true })
      lines.once('line', resolve)
      lines.once('close', () => resolve(''))
      if (signal.aborted) reject(reasonOf(signal))
    })
  } finally {
    lines.close()
    process.stdin.pause()
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('interrupted')
}
