import type { Ledger } from './ledger.js'
import { pause } from './pause.js'
import type { Answer, Site } from './site.js'
import type { Tally } from './tally.js'
import type { Turnstile } from './turnstile.js'

/** What the browsers of a scene share. */
export interface Town {
  readonly site: Site
  readonly ledger: Ledger
  readonly tally: Tally
  /** Whoever has no session yet goes through here. */
  readonly turnstile: Turnstile
  /** Aborts when everybody goes home at once. */
  readonly signal: AbortSignal
}

/** Requests that a page fires at once, when its document is there. */
export const AT_ONCE = 3
/** A page tries a request again that was refused for now; a visitor then gives up. */
const TRIES = 4

/** One visitor: a cookie jar, and pages of several requests. */
export class Browser {
  private cookie: string | undefined

  constructor(private readonly town: Town) {}

  /** A document, and what it asks for: each changes the session. */
  async page(): Promise<void> {
    await this.change()
    await this.burst()
  }

  async burst(): Promise<void> {
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.change()))
  }

  /** One change, until it is stored, or it is not known whether it was. */
  async change(route: 'change' | 'report' = 'change'): Promise<void> {
    const { ledger, tally, signal } = this.town
    const number = ledger.number()
    for (let tries = 1; ; tries++) {
      const sent = this.cookie
      const answer = await this.post(`/${route}/${String(number)}`)
      tally.note(answer)
      this.cookie = answer.cookie ?? this.cookie
      const outcome = outcomeOf(answer)
      ledger.note(number, outcome, sessionIn(answer.cookie ?? sent))
      if (outcome !== 'refused' || tries === TRIES || signal.aborted) return
      await pause((answer.retryAfterSec ?? 0) * 1000, signal)
    }
  }

  private post(path: string): Promise<Answer> {
    const { site, turnstile } = this.town
    if (this.cookie !== undefined) return site.post(path, this.cookie)
    return turnstile.through(async () => {
      const answer = await site.post(path, this.cookie)
      this.cookie = answer.cookie ?? this.cookie
      return answer
    })
  }
}

/** `Retry-After`, and a session that has ended meanwhile: nothing was stored. Of any other failure nobody knows. */
function outcomeOf({ status, retryAfterSec }: Answer): 'kept' | 'refused' | 'unknown' {
  if (status === 200) return 'kept'
  return retryAfterSec !== undefined || status === 409 ? 'refused' : 'unknown'
}

/** express-session's cookie: `connect.sid=s%3A<id>.<signature>`. */
function sessionIn(cookie: string | undefined): string | undefined {
  const [, id] = /^connect\.sid=s:([^.]+)\./.exec(decodeURIComponent(cookie ?? '')) ?? []
  return id
}
