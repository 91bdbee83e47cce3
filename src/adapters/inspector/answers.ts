import { MOST_VIEWERS, type Hub, type Outlet } from './hub.js'
import type { InspectorRequest, Refusal, Settings } from './options.js'

/** What a request is answered, whatever the framework. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The response stays open: events go into the outlet until the function that it returns is called. */
  readonly stream?: (outlet: Outlet) => () => void
}

/** Nothing from elsewhere, nothing inline, in no frame. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'X-Robots-Tag': 'noindex',
} as const

const TYPES = { html: 'text/html; charset=utf-8', icon: 'image/svg+xml', script: 'text/javascript; charset=utf-8', style: 'text/css; charset=utf-8' } as const
const FILES: Readonly<Record<string, keyof typeof TYPES>> = { '': 'html', 'icon.svg': 'icon', 'page.js': 'script', 'page.css': 'style' }

const text = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', ...headers },
  body: `${body}\n`,
})

/** Answers the requests of the page. */
export class Answers {
  constructor(
    private readonly settings: Settings,
    private readonly hub: Hub,
  ) {}

  /** Whether the path is the page's, or below it. */
  has(path: string): boolean {
    const own = this.settings.path
    return path.startsWith(own) && (path.length === own.length || path[own.length] === '/')
  }

  async to(request: InspectorRequest): Promise<Answer> {
    const verdict = await this.settings.guard(request)
    if (verdict !== true) return refused(verdict)
    const name = request.path.slice(this.settings.path.length + 1)
    if (name === 'replay' && this.settings.replay !== undefined) return this.replayed(request, this.settings.replay.run)
    if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'Only GET.', { Allow: 'GET, HEAD' })
    // Relative, because a framework may have taken off what it is mounted under.
    if (request.path === this.settings.path) return text(308, 'See there.', { Location: `${this.settings.path.replace(/^.*\//, '')}/` })
    if (name === 'events') return this.events()
    const kind = Object.hasOwn(FILES, name) ? FILES[name] : undefined
    if (kind === undefined) return text(404, 'No such page.')
    const files = await import('./page-files.js')
    return { status: 200, headers: { ...HEADERS, 'Content-Type': TYPES[kind] }, body: files[kind] }
  }

  private events(): Answer {
    const { hub } = this
    if (hub.isFull) return text(503, `${String(MOST_VIEWERS)} pages are open already.`, { 'Retry-After': '5' })
    // nginx would keep the events until it has a page full of them.
    const headers = { ...HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' }
    return { status: 200, headers, body: '', stream: (outlet) => hub.join(outlet) }
  }

  /** A page of elsewhere can neither send this header nor read what it would be allowed. */
  private replayed(request: InspectorRequest, run: () => void): Answer {
    if (request.method !== 'POST' || request.header('x-latchkey') !== 'replay') return text(405, 'Only POST, from the page.', { Allow: 'POST' })
    run()
    return text(202, 'Again.')
  }
}

function refused(verdict: false | Refusal): Answer {
  if (verdict === false) return text(403, 'Not for you: see the option guard of createInspector.')
  return text(verdict.status, 'Not for you.', verdict.headers)
}
