import type { Frame, SourceInfo } from '../../adapters/inspector/frame.js'
import type { Source } from '../../adapters/inspector/source.js'

/** Frames that wait for the next look; a page that is away for longer needs none of the older ones. */
const MOST_FRAMES = 40
const RETRY_MS = 2000
const SILENCE_MS = 10_000
/** The longest event that is believed to be one. */
const MAX_EVENT_LENGTH = 4 * 1024 * 1024

/** An inspector of a running process, looked at from outside by its stream of events. */
export class RemoteSource implements Source {
  private known: readonly SourceInfo[]
  private waiting: Frame[] = []
  private looking: AbortController | undefined

  constructor(
    private readonly url: URL,
    private readonly headers: Headers,
  ) {
    this.known = [this.placeholder('connecting')]
  }

  get infos(): readonly SourceInfo[] {
    return this.known
  }

  start(): void {
    const looking = new AbortController()
    this.looking = looking
    void this.keepLooking(looking.signal)
  }

  stop(): void {
    this.looking?.abort()
    this.looking = undefined
    this.waiting = []
  }

  frames(): readonly Frame[] {
    const taken = this.waiting
    this.waiting = []
    return taken
  }

  private placeholder(problem: string): SourceInfo {
    const { host } = this.url
    return { source: host + this.url.pathname, name: host, host, pid: 0, isLocking: true, problem }
  }

  private async keepLooking(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const problem = await this.look(signal).catch(reasonOf)
      if (signal.aborted) return
      this.known = this.known.every(({ problem: before }) => before !== undefined) ? [this.placeholder(problem)] : this.known.map((info) => ({ ...info, problem }))
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, RETRY_MS)
        signal.addEventListener('abort', () => {
          clearTimeout(timer)
          resolve(undefined)
        }, { once: true })
      })
    }
  }

  /** Until the stream ends; returns why it did. */
  private async look(signal: AbortSignal): Promise<string> {
    // One controller for both ends: Node 20 may forget what AbortSignal.any() has made, and the stream would stay open.
    const ending = new AbortController()
    const end = (): void => {
      ending.abort(signal.reason)
    }
    signal.addEventListener('abort', end, { once: true })
    // A process that stands still keeps its connection open and says nothing.
    const hurry = setTimeout(() => {
      ending.abort(new Error('it says nothing'))
    }, SILENCE_MS)
    try {
      const response = await fetch(new URL('events', this.url), { headers: this.headers, redirect: 'error', signal: ending.signal })
      const flaw = flawOf(response)
      if (flaw !== undefined || response.body === null) {
        await response.body?.cancel()
        return flaw ?? 'no events'
      }
      let text = ''
      const decoder = new TextDecoder()
      // Ended by its reader: of a fetch that is answered, the signal alone has once left the stream open (a busy machine, Node 20).
      const reader = response.body.getReader()
      ending.signal.addEventListener('abort', () => void reader.cancel().catch(() => undefined))
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        hurry.refresh()
        text += decoder.decode(read.value as Uint8Array, { stream: true })
        const events = text.split('\n\n')
        text = events.pop() ?? ''
        if (text.length > MAX_EVENT_LENGTH) return 'what it sends is not what an inspector sends'
        for (const event of events) this.hear(event)
      }
      ending.signal.throwIfAborted()
      return 'it has ended the connection'
    } finally {
      clearTimeout(hurry)
      signal.removeEventListener('abort', end)
    }
  }

  private hear(event: string): void {
    const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? []
    // It is an inspector's, of this version or another: what is not understood is left to the page.
    const told = JSON.parse(data === '' ? '{}' : data) as { readonly sources?: readonly SourceInfo[]; readonly frames?: readonly Frame[] }
    if (name === 'hello') this.known = (told.sources ?? []).map((info) => ({ ...info, name: `${this.url.host} ${info.name}` }))
    if (name === 'frames') this.waiting = [...this.waiting, ...(told.frames ?? [])].slice(-MOST_FRAMES)
  }
}

/** Why a response is no stream of an inspector; undefined when it is one. */
export function flawOf(response: Response): string | undefined {
  const { status } = response
  if (status === 401 || status === 403) return `it refuses (${String(status)}): its guard wants a header, --header 'Authorization: ...'`
  if (status === 404) return 'there is no inspector (404): is the path right?'
  if (status === 503) return 'too many pages are open there (503)'
  if (status !== 200) return `it answers ${String(status)}`
  return response.headers.get('content-type')?.startsWith('text/event-stream') === true ? undefined : 'there is something else than an inspector'
}

export function reasonOf(error: unknown): string {
  let innermost: unknown = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  return innermost instanceof Error ? innermost.message || innermost.name : String(innermost)
}
